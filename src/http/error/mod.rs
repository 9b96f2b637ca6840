//! What a client is told when a request fails: one table of status and code, one document (RFC 9457).
//!
//! An [`ApiError`] becomes an empty response that carries a [`Problem`]; the outermost layer writes the document,
//! because only it knows the request id, and logs the cause of what is our fault, once.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::model::permission::Permission;
use crate::model::session::Ended;
use crate::store::StoreError;

mod problem;
mod store;

pub use problem::{FieldError, Problem, problem_response};

use problem::title_of;

/// Seconds after which a client may try again when the store did not answer.
const STORE_RETRY_SECONDS: u64 = 1;

/// Everything an operation can answer instead of what was asked.
#[derive(Debug, Error)]
pub enum ApiError {
    /// A part of the request is malformed or out of range; the text names the part and the rule.
    #[error("{0}")]
    InvalidRequest(String),
    /// Fields of the body are wrong.
    #[error("the body is not what this operation takes")]
    InvalidBody(Vec<FieldError>),
    /// Service credentials are missing or wrong.
    #[error("service credentials are missing or wrong")]
    Unauthenticated,
    /// Too many failed authentications came from this address.
    #[error("too many failed authentications from this address")]
    RateLimited {
        /// Seconds until the next try may succeed.
        retry_after: u64,
    },
    /// The service may not do this.
    #[error("this needs the permission {0}")]
    PermissionDenied(Permission),
    /// A session, as named by the request, was never known.
    #[error("no session has this id")]
    SessionNotFound,
    /// The session has no such attribute.
    #[error("the session has no attribute of this name")]
    AttributeNotFound,
    /// No service has this id.
    #[error("no service has this id")]
    ServiceNotFound,
    /// The path leads nowhere.
    #[error("nothing is at this path")]
    RouteNotFound,
    /// The path knows other methods.
    #[error("this path does not take this method")]
    MethodNotAllowed,
    /// A service with this id exists.
    #[error("a service with this id exists")]
    ServiceExists,
    /// The built-in service cannot be changed so.
    #[error("the built-in service cannot be changed or removed")]
    ServiceBuiltIn,
    /// No session has or had this token.
    #[error("no session has this token")]
    TokenNotFound,
    /// The token belongs or belonged to another session.
    #[error("the token is in use by another session")]
    TokenInUse,
    /// The login has as many sessions as it may have.
    #[error("the login has as many sessions as the limit allows")]
    SessionLimitReached,
    /// No session may be opened for the login now.
    #[error("the login is banned")]
    LoginBanned,
    /// The login is not banned.
    #[error("the login is not banned")]
    BanNotFound,
    /// Nothing is known of the user of this login id.
    #[error("no profile is kept for this login id, and none can be loaded")]
    ProfileNotFound,
    /// Nobody loads profiles here.
    #[error("no loader of profiles is configured (SGW_PROFILE_LOADER_URL)")]
    LoaderNotConfigured,
    /// The attribute cannot be counted with.
    #[error("the attribute is not a 64-bit integer, or the sum would not be one")]
    AttributeNotANumber,
    /// The session is over.
    #[error("the session has ended")]
    SessionEnded(Ended),
    /// What follows the cursor is no longer kept.
    #[error("the feed is no longer kept from this place on; start again without `after`")]
    CursorExpired,
    /// `If-Match` names another version.
    #[error("the session has another version than If-Match names")]
    VersionConflict,
    /// The body is too large.
    #[error("the body is larger than {limit} bytes")]
    PayloadTooLarge {
        /// The most bytes it may have.
        limit: usize,
    },
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
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    IdempotencyKeyReused,
    /// The store does not know: neither yes nor no.
    #[error("the store does not answer; nothing is known about the outcome")]
    StoreUnavailable(#[source] Arc<StoreError>),
    /// The service that knows the users does not tell: neither yes nor no.
    #[error("the loader of profiles does not answer as it should; nothing is known about the user")]
    LoaderUnavailable,
    /// The gateway is at its limit of what it does at once.
    #[error("the gateway is busy")]
    Busy,
    /// A bug.
    #[error("internal error")]
    Internal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// Status and stable code of each error.
    #[must_use]
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest(_) | Self::InvalidBody(_) => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::PermissionDenied(_) => (StatusCode::FORBIDDEN, "permission_denied"),
            Self::SessionNotFound => (StatusCode::NOT_FOUND, "session_not_found"),
            Self::AttributeNotFound => (StatusCode::NOT_FOUND, "attribute_not_found"),
            Self::ServiceNotFound => (StatusCode::NOT_FOUND, "service_not_found"),
            Self::TokenNotFound => (StatusCode::NOT_FOUND, "token_not_found"),
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "route_not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::ServiceExists => (StatusCode::CONFLICT, "service_exists"),
            Self::ServiceBuiltIn => (StatusCode::CONFLICT, "service_built_in"),
            Self::TokenInUse => (StatusCode::CONFLICT, "token_in_use"),
            Self::SessionLimitReached => (StatusCode::CONFLICT, "session_limit_reached"),
            Self::LoginBanned => (StatusCode::FORBIDDEN, "login_banned"),
            Self::BanNotFound => (StatusCode::NOT_FOUND, "ban_not_found"),
            Self::ProfileNotFound => (StatusCode::NOT_FOUND, "profile_not_found"),
            Self::LoaderNotConfigured => (StatusCode::CONFLICT, "loader_not_configured"),
            Self::AttributeNotANumber => (StatusCode::CONFLICT, "attribute_not_a_number"),
            Self::SessionEnded(_) => (StatusCode::GONE, "session_ended"),
            Self::CursorExpired => (StatusCode::GONE, "cursor_expired"),
            Self::VersionConflict => (StatusCode::PRECONDITION_FAILED, "version_conflict"),
            Self::PayloadTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::UriTooLong { .. } => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::HeadersTooLarge { .. } => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
            ),
            Self::BodyTimeout { .. } => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::UnsupportedMediaType { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::IdempotencyKeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused")
            }
            Self::StoreUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::LoaderUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "loader_unavailable"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// The document, still without the request id.
    fn problem(&self) -> Problem {
        let (status, code) = self.kind();
        Problem {
            kind: format!("urn:session-gateway:problem:{code}"),
            title: title_of(code),
            status: status.as_u16(),
            detail: self.to_string(),
            code,
            request_id: String::new(),
            errors: if let Self::InvalidBody(errors) = self {
                errors.clone()
            } else {
                Vec::new()
            },
            ended: if let Self::SessionEnded(ended) = self {
                Some(ended.clone())
            } else {
                None
            },
        }
    }

    fn retry_after(&self) -> Option<u64> {
        if let Self::RateLimited { retry_after } = self {
            return Some(*retry_after);
        }
        let (status, _) = self.kind();
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(STORE_RETRY_SECONDS)
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
        if matches!(self, Self::Unauthenticated) {
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
