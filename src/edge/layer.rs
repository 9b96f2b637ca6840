//! The edge as one layer, because each layer of a router costs every request a few allocations. From the outside in: name
//! the request and write its errors, catch panics, limit the head.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures_util::FutureExt;
use tower::Service;

use super::answer::Asked;
use super::limits::check_head;
use super::panic::answer_panic;

/// A route inside the edge.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    route: Route,
}

impl Edge {
    pub(crate) fn new(route: Route) -> Self {
        Self { route }
    }
}

impl Service<Request> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.route, cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asked = Asked::note(&request);
        if let Err(error) = check_head(&request) {
            return Box::pin(std::future::ready(Ok(asked.finish(error.into_response()))));
        }
        let called = catch_unwind(AssertUnwindSafe(|| self.route.call(request)));
        Box::pin(async move {
            let answered = match called {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            let Ok(response) = answered.unwrap_or_else(|panic| Ok(answer_panic(panic)));
            Ok(asked.finish(response))
        })
    }
}
