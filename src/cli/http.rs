//! A small HTTP client for the commands that speak to a running gateway.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

use crate::http::error::with_causes;

/// The most bytes of an answer that are read: a full page of services fits.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum HttpError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("no connection: {}", with_causes(.0))]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("the answer broke off: {}", with_causes(.0.as_ref()))]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the HTTP client does not start: {0}")]
    Runtime(#[source] std::io::Error),
}

/// Sends one request on a connection of its own, and waits for the whole answer.
pub(super) fn send(
    request: Request<Body>,
    deadline: Duration,
) -> Result<(StatusCode, Bytes), HttpError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(HttpError::Runtime)?;
    runtime.block_on(async {
        tokio::time::timeout(deadline, exchange(request))
            .await
            .map_err(|_elapsed| HttpError::TimedOut(deadline))?
    })
}

async fn exchange(request: Request<Body>) -> Result<(StatusCode, Bytes), HttpError> {
    let client: Client<HttpConnector, Body> =
        Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let response = client.request(request).await.map_err(HttpError::Connect)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    let body = body.collect().await.map_err(HttpError::Answer)?;
    Ok((status, body.to_bytes()))
}

/// The value of an `Authorization` header (RFC 7617), kept out of `Debug`.
pub(super) fn basic(user: &str, secret: &str) -> Option<HeaderValue> {
    use base64::Engine;
    let pair = zeroize::Zeroizing::new(format!("{user}:{secret}"));
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair.as_bytes());
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
