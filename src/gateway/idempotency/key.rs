//! The key itself, as a client sends it, and the hash under which a claim is kept.

use crate::model::id::ServiceId;
use axum::http::{HeaderMap, Method, Uri};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::http::error::ApiError;
use crate::store::ClaimKey;

const HEADER: &str = "idempotency-key";

const MAX_LENGTH: usize = 255;

/// A client's `Idempotency-Key`: bare, or a string as RFC 8941 writes it.
pub(super) struct IdempotencyKey(Zeroizing<Vec<u8>>);

impl IdempotencyKey {
    /// Reads the key of a request, if it has one.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let key = match values.next() {
            None => Self::parse(value.as_bytes()),
            Some(_second) => None,
        };
        key.map(Some).ok_or_else(|| {
            ApiError::InvalidRequest(format!(
                "Idempotency-Key must be given once, with 1 to {MAX_LENGTH} visible ASCII characters, bare or in double quotes"
            ))
        })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let key = Zeroizing::new(match text.strip_prefix(b"\"") {
            Some(rest) => unquote(rest.strip_suffix(b"\"")?)?,
            None => text.to_vec(),
        });
        let fits = (1..=MAX_LENGTH).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        fits.then_some(Self(key))
    }

    /// The key as it was meant, without quotes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The hash of the key and of what it is for.
    pub(super) fn claim_key(&self, service_id: &ServiceId, method: &Method, uri: &Uri) -> ClaimKey {
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let mut hash = Sha256::new();
        for part in [
            service_id.as_str().as_bytes(),
            method.as_str().as_bytes(),
            target.as_bytes(),
            self.as_bytes(),
        ] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        ClaimKey(hash.finalize().into())
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
        let claim = |service: &str, method, uri: &'static str| {
            let service = ServiceId::parse(service).unwrap();
            key.claim_key(&service, &method, &Uri::from_static(uri))
        };
        let first = claim("shop", Method::POST, "/v1/sessions");
        assert_eq!(first, claim("shop", Method::POST, "/v1/sessions"));
        assert_ne!(first, claim("shoq", Method::POST, "/v1/sessions"));
        assert_ne!(first, claim("shop", Method::PUT, "/v1/sessions"));
        assert_ne!(first, claim("shop", Method::POST, "/v1/services"));
    }
}
