//! Extractors: the only way from a request to our own types. What they refuse is answered as a problem document.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use serde::de::DeserializeOwned;

use crate::http::error::ApiError;

mod body;
mod consistency;
mod entropy;
mod json;
mod path;
mod version;

pub use body::{Form, Json, JsonValue, MAX_BODY_BYTES, OptionalJson, Patch, read_body};
pub use consistency::consistency_of;
pub use json::{given, given_word, optional_object, optional_word, word};
pub use path::{Path, PathParam};
pub use version::{IfMatch, etag};

use json::what_is_wrong;

/// The query of the request. Names it does not know are refused by the type (`deny_unknown_fields`).
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        let invalid = |error: serde_urlencoded::de::Error| {
            ApiError::InvalidRequest(format!(
                "the query is not valid: {}",
                what_is_wrong(&error.to_string())
            ))
        };
        serde_urlencoded::from_str(query).map(Self).map_err(invalid)
    }
}

/// The header that says where a new thing is, for a path of visible ASCII.
pub fn location(path: &str) -> Result<(HeaderName, HeaderValue), ApiError> {
    let value = HeaderValue::try_from(path).map_err(ApiError::internal)?;
    Ok((header::LOCATION, value))
}
