//! Extractors: the only way from a request to our own types. What they refuse is answered as a problem document.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use url::form_urlencoded;

use crate::http::error::ApiError;

mod body;
mod consistency;
mod entropy;
mod json;
mod path;
mod place;
mod version;
mod wording;

pub use body::{Form, Json, JsonValue, MAX_BODY_BYTES, OptionalJson, Patch, read_body};
pub use consistency::consistency_of;
pub use json::{given, given_word, optional_object, optional_word, word};
pub use path::{Path, PathParam};
pub use version::{IfMatch, etag};

use wording::{NAME_SHOWN, what_is_wrong};

/// The query of the request. Names it does not know are refused by the type (`deny_unknown_fields`).
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        parse_pairs(query.as_bytes())
            .map(Self)
            .map_err(|wrong| ApiError::InvalidRequest(of_parameter(&wrong.name, &wrong.rule)))
    }
}

/// A rule that one of the pairs of a query or a form breaks; nameless if it is none of them.
struct WrongPair {
    name: String,
    rule: String,
}

fn parse_pairs<T: DeserializeOwned>(text: &[u8]) -> Result<T, WrongPair> {
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text));
    serde_path_to_error::deserialize(reader).map_err(|error| WrongPair {
        name: match error.path().iter().next() {
            Some(Segment::Map { key }) => key.chars().take(NAME_SHOWN).collect(),
            _ => String::new(),
        },
        rule: what_is_wrong(&error.into_inner().to_string()),
    })
}

/// A rule tells its parameter, unless it names it itself.
fn of_parameter(name: &str, rule: &str) -> String {
    if name.is_empty() || rule.starts_with(&format!("`{name}`")) {
        rule.to_owned()
    } else {
        format!("`{name}` {rule}")
    }
}

/// The header that says where a new thing is, for a path of visible ASCII.
pub fn location(path: &str) -> Result<(HeaderName, HeaderValue), ApiError> {
    let value = HeaderValue::try_from(path).map_err(ApiError::internal)?;
    Ok((header::LOCATION, value))
}
