//! What a client is told when a request fails: one table of status and code, one document (RFC 9457).
//!
//! An [`ApiError`] becomes an empty response that carries a [`Problem`]; the outermost layer writes the document,
//! because only it knows the request id, and logs the cause of what is our fault, once.

use std::error::Error;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::gateway::GatewayError;

mod code;
mod gateway;
mod problem;

pub use code::Code;
pub use problem::{FieldError, Place, Problem, problem_response};

/// Seconds after which a client may try again when it was no fault of its own.
const RETRY_SECONDS: u64 = 1;

/// Everything that is told instead of an answer.
#[derive(Debug, Error)]
pub enum ApiError {
    /// A part of the request is malformed or out of range; the text names the part and the rule.
    #[error("{0}")]
    InvalidRequest(String),
    /// Fields of the body are wrong.
    #[error("the body is not what this operation takes{}", first_of(.0))]
    InvalidBody(Vec<FieldError>),
    /// The path leads nowhere.
    #[error("nothing is at this path")]
    RouteNotFound,
    /// The path knows other methods.
    #[error("this path does not take this method")]
    MethodNotAllowed,
    /// The body is too large.
    #[error("the body is larger than {limit} bytes")]
    PayloadTooLarge {
        /// The most bytes it may have.
        limit: usize,
    },
    /// The answer of this operation cannot be kept for repetitions.
    #[error("this operation takes no Idempotency-Key: its answer may be too large to be kept")]
    IdempotencyNotPossible,
    /// The URI is too long.
    #[error("the URI is longer than {limit} bytes")]
    UriTooLong {
        /// The most bytes it may have.
        limit: usize,
    },
    /// The headers are too large.
    #[error("the headers are larger than {limit} bytes together")]
    HeadersTooLarge {
        /// The most bytes they may have.
        limit: usize,
    },
    /// The body did not come in time.
    #[error("the body did not arrive within {seconds} seconds")]
    BodyTimeout {
        /// How long was waited.
        seconds: u64,
    },
    /// The body has a type this operation does not take.
    #[error("the body must be {expected}")]
    UnsupportedMediaType {
        /// What it takes.
        expected: &'static str,
    },
    /// All connections are taken, and none of them is idle.
    #[error("as many connections are open as the gateway serves")]
    Overloaded,
    /// The request was understood, and this came of it.
    #[error(transparent)]
    Gateway(GatewayError),
}

/// The first wrong place, for who reads no further.
fn first_of(errors: &[FieldError]) -> String {
    let Some(first) = errors.first() else {
        return String::new();
    };
    let pointer = if first.pointer.is_empty() {
        String::new()
    } else {
        format!(" at `{}`", first.pointer)
    };
    let place = first
        .place
        .map(|place| format!(" (line {}, column {})", place.line, place.column));
    format!("{pointer}{}: {}", place.unwrap_or_default(), first.detail)
}

/// A field out of range is a place of the body, as a field that cannot be read is.
impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> Self {
        if let GatewayError::InvalidField { field, rule } = error {
            Self::invalid_field(field, &rule.to_string())
        } else {
            Self::Gateway(error)
        }
    }
}

impl ApiError {
    /// A bug, or a machine that fails.
    pub fn internal(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Gateway(GatewayError::internal(error))
    }

    /// One field of the body breaks a rule.
    #[must_use]
    pub fn invalid_field(field: &str, rule: &str) -> Self {
        Self::InvalidBody(vec![FieldError {
            pointer: format!("/{field}"),
            detail: rule.to_owned(),
            place: None,
        }])
    }

    /// Status and stable code of each error.
    #[must_use]
    pub fn kind(&self) -> (StatusCode, Code) {
        match self {
            Self::InvalidRequest(_) | Self::InvalidBody(_) => {
                (StatusCode::BAD_REQUEST, Code::InvalidRequest)
            }
            Self::IdempotencyNotPossible => (StatusCode::BAD_REQUEST, Code::IdempotencyNotPossible),
            Self::RouteNotFound => (StatusCode::NOT_FOUND, Code::RouteNotFound),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed),
            Self::PayloadTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Code::PayloadTooLarge),
            Self::UriTooLong { .. } => (StatusCode::URI_TOO_LONG, Code::UriTooLong),
            Self::HeadersTooLarge { .. } => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Code::HeadersTooLarge,
            ),
            Self::BodyTimeout { .. } => (StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout),
            Self::UnsupportedMediaType { .. } => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Code::UnsupportedMediaType,
            ),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Code::Overloaded),
            Self::Gateway(error) => gateway::kind_of(error),
        }
    }

    /// The document, still without the request id.
    fn problem(&self) -> Problem {
        let (status, code) = self.kind();
        Problem {
            kind: format!("urn:session-gateway:problem:{code}"),
            title: code.title(),
            status: status.as_u16(),
            detail: self.to_string(),
            code,
            request_id: String::new(),
            errors: if let Self::InvalidBody(errors) = self {
                errors.clone()
            } else {
                Vec::new()
            },
            ended: if let Self::Gateway(GatewayError::SessionEnded(ended)) = self {
                ended.clone()
            } else {
                None
            },
            quota: if let Self::Gateway(GatewayError::QuotaExceeded(quota)) = self {
                Some(*quota)
            } else {
                None
            },
            count: if let Self::Gateway(GatewayError::LoginTooLarge { count }) = self {
                Some(*count)
            } else {
                None
            },
        }
    }

    fn retry_after(&self) -> Option<u64> {
        if let Self::Gateway(GatewayError::RateLimited { retry_after }) = self {
            return Some(*retry_after);
        }
        let (status, _) = self.kind();
        let passes = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        passes.contains(&status).then_some(RETRY_SECONDS)
    }
}

/// The error a response stands for, until the outermost layer has written and logged it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The document to send.
    pub problem: Problem,
    /// The error itself, for the log.
    pub error: Arc<ApiError>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _) = self.kind();
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"session-gateway\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(Failure {
            problem: self.problem(),
            error: Arc::new(self),
        });
        response
    }
}
