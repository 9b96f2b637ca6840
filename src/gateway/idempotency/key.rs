//! The key itself, as a client sends it, and the hash under which its record is kept.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::model::id::ServiceId;
use crate::store::IdempotencyRecordKey;

/// A client's `Idempotency-Key`: bare, or a string as RFC 8941 writes it.
#[derive(Clone)]
pub struct IdempotencyKey(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

impl IdempotencyKey {
    /// The most characters of a key.
    pub const MAX_LENGTH: usize = 255;

    /// Reads a key; `None` if it is not 1 to 255 visible ASCII characters.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let key = Zeroizing::new(match text.strip_prefix(b"\"") {
            Some(rest) => unquote(rest.strip_suffix(b"\"")?)?,
            None => text.to_vec(),
        });
        let fits =
            (1..=Self::MAX_LENGTH).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        fits.then_some(Self(key))
    }

    /// The key as it was meant, without quotes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The hash of the key and of what it is for.
    pub(super) fn record_key(
        &self,
        service_id: &ServiceId,
        method: &str,
        target: &str,
    ) -> IdempotencyRecordKey {
        let mut hash = Sha256::new();
        for part in [
            service_id.as_str().as_bytes(),
            method.as_bytes(),
            target.as_bytes(),
            self.as_bytes(),
        ] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        IdempotencyRecordKey(hash.finalize().into())
    }
}

/// The inside of a quoted string, in which a backslash escapes itself and the quote.
fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => *bytes.next().filter(|next| matches!(next, b'\\' | b'"'))?,
            b'"' => return None,
            _ => *byte,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        let key = IdempotencyKey::parse(text.as_bytes())?;
        String::from_utf8(key.as_bytes().to_vec()).ok()
    }

    #[test]
    fn quoted_and_bare_keys_are_the_same() {
        for text in ["8e03978e-40d5", "\"8e03978e-40d5\""] {
            assert_eq!(parse(text).as_deref(), Some("8e03978e-40d5"));
        }
        assert_eq!(parse(r#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert!(parse(&"k".repeat(255)).is_some());
    }

    #[test]
    fn malformed_keys_are_refused() {
        let long = "k".repeat(256);
        for text in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "\"a\";x=1",
            "a b",
            "\"a b\"",
            "\"a\"b\"",
            r#""\a""#,
            "ä",
            &long,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_belongs_to_its_service_method_and_path() {
        let key = IdempotencyKey::parse(b"k").unwrap();
        let claim = |service: &str, method: &str, uri: &str| {
            let service = ServiceId::parse(service).unwrap();
            key.record_key(&service, method, uri)
        };
        let first = claim("shop", "POST", "/v1/sessions");
        assert_eq!(first, claim("shop", "POST", "/v1/sessions"));
        assert_ne!(first, claim("shoq", "POST", "/v1/sessions"));
        assert_ne!(first, claim("shop", "PUT", "/v1/sessions"));
        assert_ne!(first, claim("shop", "POST", "/v1/services"));
    }
}
