//! How conditions on a session are asked for. One that cannot be read is an error, never none.

use axum::http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::gateway::forward_auth::Conditions;
use crate::model::forward_auth::{InvalidCondition, TokenPlaces};

const REQUIRE: HeaderName = HeaderName::from_static("x-auth-require");
const REQUIRE_DEVICE: HeaderName = HeaderName::from_static("x-auth-require-device");

const TOKEN_FROM: HeaderName = HeaderName::from_static("x-auth-token-from");

/// The query parameter with the page to send a user to.
pub(super) const LOGIN_URL: &str = "login_url";

/// The query parameter with the places where a token counts.
const FROM: &str = "from";

/// Where a token counts: in all places that every header and parameter names.
pub(super) fn token_places(
    headers: &HeaderMap,
    query: &str,
) -> Result<TokenPlaces, InvalidCondition> {
    let mut places = TokenPlaces::default();
    for value in headers.get_all(TOKEN_FROM) {
        let text = str::from_utf8(value.as_bytes());
        places.narrow(text.map_err(|_bytes| InvalidCondition::TokenPlace)?)?;
    }
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == FROM {
            places.narrow(&value)?;
        }
    }
    Ok(places)
}

/// Reads those of a request. The query must be the operator's: a client's own would be no condition.
pub(super) fn read(headers: &HeaderMap, query: &str) -> Result<Conditions, InvalidCondition> {
    let mut conditions = Conditions::default();
    for value in headers.get_all(REQUIRE) {
        let text = str::from_utf8(value.as_bytes());
        conditions.require(text.map_err(|_bytes| InvalidCondition::Header)?)?;
    }
    for value in headers.get_all(REQUIRE_DEVICE) {
        let text = str::from_utf8(value.as_bytes());
        conditions.require_device(text.map_err(|_bytes| InvalidCondition::Header)?)?;
    }
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(InvalidCondition::Query);
    }
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "require" => conditions.require(&value)?,
            "device" => conditions.require_device(&value)?,
            LOGIN_URL | FROM => {}
            _ => return Err(InvalidCondition::UnknownParameter),
        }
    }
    Ok(conditions)
}
