//! Names the request, turns errors into documents (RFC 9457), sets the headers that every answer has, and logs the cause
//! of what is our fault, once. Of requests that could not be served, of which there may be thousands a second, each line
//! tells how many were left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::request_id::{self, RequestId};
use super::route_metrics::RouteMetrics;
use crate::http::error::{ApiError, Code, Failure};
use crate::telemetry::log::with_causes;
use crate::telemetry::log_limit::CountedLogLimit;

/// What its answer and the log say of a request. Paths hold ids, so only the route is told.
pub(super) struct RequestContext {
    id: RequestId,
    method: Method,
    route: Option<MatchedPath>,
    since: Instant,
    holds_sessions: bool,
    route_metrics: Arc<RouteMetrics>,
    unserved: Arc<Unserved>,
}

/// Requests that could not be served, by their codes: whatever is the matter concerns many of them.
pub(super) type Unserved = CountedLogLimit<Code>;

fn is_api(path: &str) -> bool {
    path.strip_prefix("/v1")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Routes that are not ours answer 404 and 405 in their own words; these get a document too.
fn with_failure(response: Response) -> Response {
    let error = match response.status() {
        StatusCode::NOT_FOUND => ApiError::RouteNotFound,
        StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed,
        _other => return response,
    };
    if response.extensions().get::<Failure>().is_some() {
        return response;
    }
    let mut told = error.into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        told.headers_mut().insert(header::ALLOW, allow.clone());
    }
    told
}

fn write_document(response: &mut Response, failure: Failure, id: &RequestId) {
    let mut problem = failure.problem;
    id.as_str().clone_into(&mut problem.request_id);
    match serde_json::to_vec(&problem) {
        Ok(document) => *response.body_mut() = Body::from(document),
        Err(error) => tracing::error!(%error, "a problem document cannot be written"),
    }
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    let problem_json = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, problem_json);
}

fn set_headers(headers: &mut HeaderMap, id: &RequestId, holds_sessions: bool) {
    headers.insert(request_id::HEADER, id.header_value());
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if holds_sessions {
        let no_store = HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, no_store);
    }
}

impl RequestContext {
    pub(super) fn note(
        request: &Request,
        route_metrics: Arc<RouteMetrics>,
        unserved: Arc<Unserved>,
    ) -> Self {
        Self {
            id: RequestId::of(request.headers()),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            since: Instant::now(),
            holds_sessions: is_api(request.uri().path()),
            route_metrics,
            unserved,
        }
    }

    pub(super) fn finish(&self, response: Response) -> Response {
        let mut response = with_failure(response);
        let failure = response.extensions_mut().remove::<Failure>();
        let (status, took) = (response.status(), self.since.elapsed());
        self.log(status, took, failure.as_ref());
        let method = self.method.as_str();
        self.route_metrics
            .answered(self.route.as_ref(), method, status, took);
        if let Some(failure) = failure {
            write_document(&mut response, failure, &self.id);
        }
        set_headers(response.headers_mut(), &self.id, self.holds_sessions);
        response
    }

    fn log(&self, status: StatusCode, took: Duration, failure: Option<&Failure>) {
        let id = self.id.as_str();
        let method = self.method.as_str();
        let route = self.route.as_ref().map_or("", MatchedPath::as_str);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        macro_rules! log {
            ($level:ident, $message:literal $(, $field:ident)*) => {
                tracing::$level!(
                    request.id = id,
                    http.request.method = method,
                    http.route = route,
                    http.response.status_code = status.as_u16(),
                    duration_ms,
                    $($field,)*
                    $message
                )
            };
        }
        // Of a server that is full the server tells, once.
        match failure.filter(|failure| !matches!(*failure.error, ApiError::Overloaded)) {
            Some(failure) if status == StatusCode::SERVICE_UNAVAILABLE => {
                let Some(left_out) = self.unserved.allows(&failure.problem.code) else {
                    return;
                };
                let error = with_causes(failure.error.as_ref());
                log!(warn, "a request could not be served", error, left_out);
            }
            Some(failure) if status.is_server_error() => {
                let error = with_causes(failure.error.as_ref());
                log!(error, "a request failed", error);
            }
            Some(_) | None => log!(debug, "answered"),
        }
    }
}
