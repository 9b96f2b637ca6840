//! Limits of a request's head, and what is told where no route is.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Version, header};
use percent_encoding::percent_decode_str;

use crate::http::error::ApiError;

/// The most bytes of path and query.
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// The most bytes of all header names and values together.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Beside a request: its connection is one too many.
#[derive(Debug, Clone, Copy)]
pub struct Unplaced;

/// Whether this may be asked on any connection: how the gateway is.
#[must_use]
pub fn is_open_to_all(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

/// Refuses what comes on a connection too many, a head that is too large, a target that could be read in two ways, and one
/// for no host or for several (RFC 9112, section 3.2).
pub(super) fn check_head(request: &Request) -> Result<(), ApiError> {
    if request.extensions().get::<Unplaced>().is_some() {
        return Err(ApiError::Overloaded);
    }
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_URI_BYTES) {
        return Err(ApiError::UriTooLong {
            limit: MAX_URI_BYTES,
        });
    }
    let is_refused = |target: &PathAndQuery| {
        !is_question_of_proxy(target.path()) && !is_well_encoded(target.as_str())
    };
    if target.is_some_and(is_refused) {
        return refused("the URI is not percent-encoded UTF-8");
    }
    let headers = request.headers().iter();
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > MAX_HEADER_BYTES {
        return Err(ApiError::HeadersTooLarge {
            limit: MAX_HEADER_BYTES,
        });
    }
    match request.headers().get_all(header::HOST).iter().count() {
        0 if request.version() >= Version::HTTP_11 => refused("the request names no Host"),
        0 | 1 => Ok(()),
        _ => refused("the request names more than one Host"),
    }
}

fn refused(rule: &str) -> Result<(), ApiError> {
    Err(ApiError::InvalidRequest(rule.to_owned()))
}

/// What a proxy asks with may hold the path of its client, and has no 400 for an answer.
fn is_question_of_proxy(path: &str) -> bool {
    path.starts_with("/auth/")
}

/// Whether each `%` stands before two hex digits, and the decoded bytes are UTF-8.
fn is_well_encoded(target: &str) -> bool {
    let mut pieces = target.split('%');
    pieces.next();
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
    let all_hex = pieces.all(|piece| {
        let digits = piece.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(is_hex))
    });
    all_hex && percent_decode_str(target).decode_utf8().is_ok()
}

pub(crate) async fn not_found() -> ApiError {
    ApiError::RouteNotFound
}

/// The answer of a path that knows other methods; the router adds `Allow`.
pub(crate) async fn not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}
