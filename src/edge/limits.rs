//! Limits of a request's head, and what is told where no route is.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

/// The most bytes of path and query.
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// The most bytes of all header names and values together.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Refuses a head that is too large.
pub(crate) async fn limit_head(request: Request, next: Next) -> Result<Response, ApiError> {
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_URI_BYTES) {
        return Err(ApiError::UriTooLong {
            limit: MAX_URI_BYTES,
        });
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
    Ok(next.run(request).await)
}

/// The answer of a path that leads nowhere.
pub(crate) async fn not_found() -> ApiError {
    ApiError::RouteNotFound
}

/// The answer of a path that knows other methods; the router adds `Allow`.
pub(crate) async fn not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}
