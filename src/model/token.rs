//! Credentials: session tokens and service secrets. Only their SHA-256 is ever stored, and none prints itself.

use super::id::SessionId;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Starts every token the gateway makes; callers may not bring tokens that start so.
const TOKEN_PREFIX: &str = "sgw_";

/// Bytes of randomness in a token and in a service secret: 256 bits (OWASP ASVS 5.0, 7.2.3 asks for 128).
pub const RANDOM_BYTES: usize = 32;

/// A token must be 32 to 512 characters long when a caller brings it.
const FOREIGN_LENGTH: std::ops::RangeInclusive<usize> = 32..=512;

/// SHA-256 of a credential. At 256 random bits a fast hash is enough (OWASP ASVS 5.0, 11.4.2 with 6.5.2).
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct CredentialHash([u8; 32]);

impl CredentialHash {
    /// Stands where there is no credential: nothing that anybody presents has this hash.
    pub const NONE: Self = Self([0; 32]);

    /// Hashes what was presented.
    #[must_use]
    pub fn of(credential: &[u8]) -> Self {
        Self(Sha256::digest(credential).into())
    }

    /// Takes a digest that was stored.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest, for keys of an index.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for CredentialHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CredentialHash {}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(…)")
    }
}

/// Why a text cannot be a session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidToken {
    /// Too short to be safe or too long to carry.
    #[error("must be 32 to 512 characters long")]
    Length,
    /// Spaces, control characters or non-ASCII text.
    #[error("may only contain visible ASCII characters")]
    Characters,
    /// The prefix of the gateway's own tokens.
    #[error("must not start with `sgw_`: that prefix is the gateway's own")]
    Prefix,
}

/// The credential of a session. Serialising shows it: it stands only in the answer that hands it out.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The gateway's own form: `sgw_` and 64 characters of base64url for the session id and 256 random bits.
    #[must_use]
    pub fn own(session_id: SessionId, random: &[u8; RANDOM_BYTES]) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 16 + RANDOM_BYTES]);
        let (id, secret) = bytes.split_at_mut(16);
        id.copy_from_slice(session_id.as_bytes());
        secret.copy_from_slice(random);
        let mut text = String::from(TOKEN_PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        Self(Zeroizing::new(text))
    }

    /// Takes a token that a caller brings.
    pub fn foreign(text: String) -> Result<Self, InvalidToken> {
        let text = Zeroizing::new(text);
        if !FOREIGN_LENGTH.contains(&text.len()) {
            return Err(InvalidToken::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::Characters);
        }
        if text.starts_with(TOKEN_PREFIX) {
            return Err(InvalidToken::Prefix);
        }
        Ok(Self(text))
    }

    /// What the stores keep of it.
    #[must_use]
    pub fn hash(&self) -> CredentialHash {
        CredentialHash::of(self.0.as_bytes())
    }

    /// Whether a cookie can have it as its value as it is (`cookie-octet`, RFC 6265, section 4.1.1).
    #[must_use]
    pub fn fits_into_cookie(&self) -> bool {
        !self.0.bytes().any(|byte| b"\",;\\".contains(&byte))
    }

    /// Reads a token that was handed out and serialised then, also one of the gateway's own.
    pub fn deserialize_issued<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads a token that a caller brings.
impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::foreign(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A token as somebody shows it: where its session is to be looked for, and the hash that must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken {
    /// The session id inside a token of the gateway's own; `None` for a token that a caller brought.
    pub session_id: Option<SessionId>,
    /// SHA-256 of the whole text.
    pub hash: CredentialHash,
}

impl PresentedToken {
    /// Reads any text; `None` if it has the form of no token, so that no store needs to be asked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hash = || CredentialHash::of(text.as_bytes());
        if let Some(encoded) = text.strip_prefix(TOKEN_PREFIX) {
            let mut bytes = Zeroizing::new([0_u8; 16 + RANDOM_BYTES]);
            let length = URL_SAFE_NO_PAD
                .decode_slice(encoded, bytes.as_mut_slice())
                .ok()?;
            let id = (length == bytes.len())
                .then(|| bytes.first_chunk::<16>())
                .flatten()?;
            return Some(Self {
                session_id: Some(SessionId::from_bytes(*id)),
                hash: hash(),
            });
        }
        let plausible = FOREIGN_LENGTH.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        plausible.then(|| Self {
            session_id: None,
            hash: hash(),
        })
    }
}

/// Why a text cannot be a service secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 32 to 512 visible ASCII characters")]
pub struct InvalidSecret;

/// The credential of a service. Serialising shows it, as with [`Token`]; reading takes what an operator chose.
#[derive(Clone, ToSchema)]
#[schema(value_type = String, min_length = 32, max_length = 512, pattern = r"^[\x21-\x7e]+$", example = "sgs_3q2-7wRjN0m1bYc5vXkLh8pTz4aUoEiQd9sGfHxJ6uM")]
pub struct ServiceSecret(Zeroizing<String>);

impl ServiceSecret {
    /// A secret made by the gateway: `sgs_` and 256 random bits as base64url.
    #[must_use]
    pub fn made(random: &[u8; RANDOM_BYTES]) -> Self {
        let mut text = String::from("sgs_");
        URL_SAFE_NO_PAD.encode_string(random, &mut text);
        Self(Zeroizing::new(text))
    }

    /// Takes a secret that an operator chose: at least 32 bytes.
    pub fn chosen(text: String) -> Result<Self, InvalidSecret> {
        let text = Zeroizing::new(text);
        let fits = FOREIGN_LENGTH.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text))
        } else {
            Err(InvalidSecret)
        }
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> CredentialHash {
        CredentialHash::of(self.0.as_bytes())
    }

    /// The secret in clear, for the one place that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ServiceSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::chosen(text).map_err(de::Error::custom)
    }
}

impl Serialize for ServiceSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_token_tells_its_session_and_hashes_whole() {
        let id = SessionId::from_bytes([7; 16]);
        let token = Token::own(id, &[9; 32]);
        assert_eq!(token.0.len(), 68);
        let presented = PresentedToken::parse(&token.0).unwrap();
        assert_eq!(presented.session_id, Some(id));
        assert_eq!(presented.hash, token.hash());
    }

    #[test]
    fn text_of_no_token_form_is_refused() {
        for text in [
            "",
            "sgw_",
            "sgw_short",
            "too short",
            &format!("sgw_{}=", "A".repeat(63)),
            &"ä".repeat(40),
        ] {
            assert_eq!(PresentedToken::parse(text), None, "{text}");
        }
        assert!(
            PresentedToken::parse(&"x".repeat(32)).is_some_and(|token| token.session_id.is_none())
        );
    }

    #[test]
    fn credentials_print_nothing_of_themselves() {
        let token = Token::own(SessionId::from_bytes([7; 16]), &[9; 32]);
        let secret = ServiceSecret::made(&[1; 32]);
        assert_eq!(
            format!("{token:?} {secret:?} {:?}", token.hash()),
            "Token(…) ServiceSecret(…) CredentialHash(…)"
        );
    }

    #[test]
    fn foreign_tokens_have_limits() {
        assert_eq!(
            Token::foreign("x".repeat(31)).unwrap_err(),
            InvalidToken::Length
        );
        assert_eq!(
            Token::foreign("x y".repeat(20)).unwrap_err(),
            InvalidToken::Characters
        );
        assert_eq!(
            Token::foreign(format!("sgw_{}", "x".repeat(40))).unwrap_err(),
            InvalidToken::Prefix
        );
        assert!(Token::foreign("x".repeat(512)).is_ok());
        let fits = |piece: &str| {
            let token = Token::foreign(piece.repeat(32)).unwrap();
            token.fits_into_cookie()
        };
        let all = (0x21..0x7f_u8).map(|byte| String::from(char::from(byte)));
        let unfit: String = all.filter(|text| !fits(text)).collect();
        assert_eq!(unfit, "\",;\\");
    }
}
