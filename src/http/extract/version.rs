//! Versions in headers: `If-Match` in, `ETag` out.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};

use crate::http::error::ApiError;
use crate::model::request::Precondition;

/// `If-Match` (RFC 9110, section 13.1.1): the versions a write expects.
#[derive(Debug, Clone, Default)]
pub struct IfMatch(pub Precondition);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Ok(Self(Precondition::None));
        }
        let mut versions = Vec::new();
        for value in values {
            let text = value.to_str().unwrap_or_default();
            if text.trim() == "*" {
                return Ok(Self(Precondition::None));
            }
            for tag in text.split(',') {
                versions.push(version_of(tag.trim())?);
            }
        }
        Ok(Self(Precondition::Versions(versions)))
    }
}

fn version_of(tag: &str) -> Result<u64, ApiError> {
    let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let plain = |digits: &&str| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number && (*digits == "0" || !digits.starts_with('0'))
    };
    digits
        .filter(plain)
        .and_then(|digits| u64::from_str(digits).ok())
        .ok_or_else(|| {
            ApiError::InvalidRequest(
                "If-Match must be `*` or strong entity tags such as \"7\"".to_owned(),
            )
        })
}

/// The header that names a version of a session.
#[must_use]
pub fn etag(version: u64) -> (HeaderName, HeaderValue) {
    let tag = HeaderValue::try_from(format!("\"{version}\""));
    (
        header::ETAG,
        tag.unwrap_or_else(|_digits_are_a_value| HeaderValue::from_static("\"0\"")),
    )
}
