//! Who watches requests: the metrics of each route, and the trace of each request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;

use crate::telemetry::metrics::{Requests, RouteRequests};
use crate::telemetry::traces::{Span, Traces};

/// Where requests are told.
#[derive(Debug, Clone, Default)]
pub struct RequestWatcher {
    /// How long they took.
    pub requests: Arc<Requests>,
    /// What they did.
    pub traces: Traces,
}

/// The watcher at one route; the route is known from its first request on.
#[derive(Debug)]
pub(super) struct RouteMetrics {
    request_watcher: RequestWatcher,
    route: OnceLock<RouteRequests>,
}

impl RouteMetrics {
    pub(super) fn new(request_watcher: &RequestWatcher) -> Self {
        Self {
            request_watcher: request_watcher.clone(),
            route: OnceLock::new(),
        }
    }

    /// The span of a request, if requests of its kind are traced: those that somebody else asks for.
    pub(super) fn begin(&self, request: &Request) -> Option<Span> {
        let path = request.uri().path();
        let wanted = path.starts_with("/v1/") || path.starts_with("/auth/");
        let route = request.extensions().get::<MatchedPath>();
        let traces = wanted.then_some(&self.request_watcher.traces)?;
        traces.request(
            request.headers(),
            request.method(),
            route.map(MatchedPath::as_str),
        )
    }

    pub(super) fn answered(
        &self,
        route: Option<&MatchedPath>,
        method: &str,
        status: StatusCode,
        took: Duration,
    ) {
        let all = &self.request_watcher.requests;
        let own = self
            .route
            .get_or_init(|| all.of_route(route.map(MatchedPath::as_str)));
        own.answered(method, status.as_u16(), took);
    }
}
