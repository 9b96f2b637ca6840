//! Extractors: the only way from a request to our own types. What they refuse is answered as a problem document.

use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, FieldError};
use crate::model::attribute::AttributeName;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::json;
use crate::store::Precondition;

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
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_broken)) => Err(ApiError::InvalidRequest("the body broke off".to_owned())),
        Err(_elapsed) => Err(ApiError::BodyTimeout {
            seconds: BODY_DEADLINE.as_secs(),
        }),
    }
}

/// A JSON body; also our JSON answers.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

const JSON_TYPES: &[&str] = &["application/json"];

/// The types a JSON merge patch may have.
pub const PATCH_TYPES: &[&str] = &["application/json", "application/merge-patch+json"];

/// Whether the body has one of these types.
pub fn expect_type(
    headers: &HeaderMap,
    types: &[&str],
    expected: &'static str,
) -> Result<(), ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if types.iter().any(|kind| essence.eq_ignore_ascii_case(kind)) {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType { expected })
    }
}

/// Reads a JSON text into a type, strictly.
pub fn parse_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    let at = |pointer: String, detail: String| {
        ApiError::InvalidBody(vec![FieldError { pointer, detail }])
    };
    let compact =
        json::compact(text).map_err(|error| at(error.pointer, error.fault.to_string()))?;
    let mut reader = serde_json::Deserializer::from_str(&compact);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        at(pointer, what_is_wrong(&error.into_inner().to_string()))
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            serde_path_to_error::Segment::Seq { index } => index.to_string(),
            serde_path_to_error::Segment::Map { key } => key.chars().take(64).collect(),
            serde_path_to_error::Segment::Enum { variant } => variant.clone(),
            serde_path_to_error::Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

/// serde names the value it did not expect, which may be a secret: only what was expected is told.
fn what_is_wrong(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let shown = match message.split_once(", expected ") {
        Some((start, expected)) if start.starts_with("invalid ") => format!("must be {expected}"),
        Some(_) | None => message.to_owned(),
    };
    shown
        .chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect()
}

/// Reads a JSON body of one of these types.
async fn json_body<T: DeserializeOwned>(
    request: Request,
    types: &[&str],
    expected: &'static str,
) -> Result<T, ApiError> {
    let (parts, body) = request.into_parts();
    expect_type(&parts.headers, types, expected)?;
    parse_json(&read_body(&parts.headers, body).await?)
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
            Err(error) => ApiError::Internal(std::sync::Arc::new(error)).into_response(),
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
        parse_json(&body).map(Self)
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
        serde_urlencoded::from_bytes(&body)
            .map(Self)
            .map_err(|error| {
                let detail = what_is_wrong(&error.to_string());
                ApiError::InvalidBody(vec![FieldError {
                    pointer: String::new(),
                    detail,
                }])
            })
    }
}

/// A part of a path: percent-decoded exactly once by the router, then parsed.
pub trait PathParam: Sized {
    /// Takes the decoded text.
    fn parse_param(text: &str) -> Result<Self, ApiError>;
}

impl PathParam for SessionId {
    fn parse_param(text: &str) -> Result<Self, ApiError> {
        Self::parse(text).ok_or(ApiError::SessionNotFound)
    }
}

/// An id that breaks its rules names what is wrong with it.
macro_rules! named_param {
    ($type:ty, $name:literal) => {
        impl PathParam for $type {
            fn parse_param(text: &str) -> Result<Self, ApiError> {
                Self::parse(text)
                    .map_err(|error| ApiError::InvalidRequest(format!("{} {error}", $name)))
            }
        }
    };
}
named_param!(LoginId, "login_id");
named_param!(AttributeName, "the attribute name");
named_param!(ServiceId, "service_id");

/// The parameters of the path, in its order.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

async fn path_params<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<String>, ApiError> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params =
        params.map_err(|_utf8| ApiError::InvalidRequest("the path is not UTF-8".to_owned()))?;
    Ok(params.iter().map(|(_, value)| value.to_owned()).collect())
}

impl<T: PathParam, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match path_params(parts, state).await?.as_slice() {
            [only] => T::parse_param(only).map(Self),
            _ => Err(ApiError::RouteNotFound),
        }
    }
}

impl<A: PathParam, B: PathParam, S: Send + Sync> FromRequestParts<S> for Path<(A, B)> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match path_params(parts, state).await?.as_slice() {
            [first, second] => Ok(Self((A::parse_param(first)?, B::parse_param(second)?))),
            _ => Err(ApiError::RouteNotFound),
        }
    }
}

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
    let plain =
        |digits: &&str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
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

/// The header that says where a new thing is, for a path of visible ASCII.
pub fn location(path: &str) -> Result<(HeaderName, HeaderValue), ApiError> {
    let value = HeaderValue::try_from(path)
        .map_err(|error| ApiError::Internal(std::sync::Arc::new(error)))?;
    Ok((header::LOCATION, value))
}
