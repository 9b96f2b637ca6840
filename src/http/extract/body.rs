//! Bodies: read whole within limits of size and time, then parsed strictly.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json::{Object, parse_json};
use super::parse_pairs;
use crate::http::error::{ApiError, FieldError};
use crate::model::attribute::AttributeValue;

/// The most bytes of a body.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// How long a whole body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Reads a whole body, within its limits of size and time.
pub async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::PayloadTooLarge {
        limit: MAX_BODY_BYTES,
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    let collected =
        tokio::time::timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_broken)) => Err(ApiError::InvalidRequest("the body broke off".to_owned())),
        Err(_elapsed) => Err(ApiError::BodyTimeout {
            seconds: BODY_DEADLINE.as_secs(),
        }),
    }
}

/// A JSON object as body; also our JSON answers.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

const JSON_TYPES: &[&str] = &["application/json"];

/// The types a JSON merge patch may have.
const PATCH_TYPES: &[&str] = &["application/json", "application/merge-patch+json"];

/// Whether the body has one of these types, and is not compressed.
fn expect_type(
    headers: &HeaderMap,
    types: &[&str],
    expected: &'static str,
) -> Result<(), ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::UnsupportedMediaType {
            expected: "sent without Content-Encoding",
        });
    }
    if types.iter().any(|kind| essence.eq_ignore_ascii_case(kind)) {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType { expected })
    }
}

/// Reads a JSON body of one of these types.
async fn json_body<T: DeserializeOwned>(
    request: Request,
    types: &[&str],
    expected: &'static str,
) -> Result<T, ApiError> {
    let (parts, body) = request.into_parts();
    expect_type(&parts.headers, types, expected)?;
    let body = read_body(&parts.headers, body).await?;
    parse_json::<Object<T>>(&body).map(|object| object.0)
}

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let body = json_body(request, JSON_TYPES, "application/json").await?;
        Ok(Self(body))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => {
                let json = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, json)], text).into_response()
            }
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

/// A JSON body that may be left out, which then counts as the empty object.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub T);

impl<T, S> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        expect_type(&parts.headers, JSON_TYPES, "application/json")?;
        parse_json::<Object<T>>(&body).map(|object| Self(object.0))
    }
}

/// Any JSON value as body.
#[derive(Debug, Clone)]
pub struct JsonValue(pub AttributeValue);

impl<S: Send + Sync> FromRequest<S> for JsonValue {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        expect_type(&parts.headers, JSON_TYPES, "application/json")?;
        parse_json(&read_body(&parts.headers, body).await?).map(Self)
    }
}

/// A JSON merge patch (RFC 7396), sent as `application/json` or `application/merge-patch+json`.
#[derive(Debug, Clone)]
pub struct Patch<T>(pub T);

impl<T, S> FromRequest<S> for Patch<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let expected = "application/merge-patch+json or application/json";
        let body = json_body(request, PATCH_TYPES, expected).await?;
        Ok(Self(body))
    }
}

/// A form-encoded body (`application/x-www-form-urlencoded`), as RFC 7662 and RFC 7009 send it.
#[derive(Debug, Clone)]
pub struct Form<T>(pub T);

impl<T, S> FromRequest<S> for Form<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        const FORM: &str = "application/x-www-form-urlencoded";
        let (parts, body) = request.into_parts();
        expect_type(&parts.headers, &[FORM], FORM)?;
        let body = read_body(&parts.headers, body).await?;
        parse_pairs(&body).map(Self).map_err(|wrong| {
            let pointer = match wrong.name.as_str() {
                "" => String::new(),
                name => format!("/{name}"),
            };
            ApiError::InvalidBody(vec![FieldError {
                pointer,
                detail: wrong.rule,
                place: None,
            }])
        })
    }
}
