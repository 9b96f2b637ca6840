//! Requests of the commands that speak to a running gateway.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use thiserror::Error;
use tokio::runtime::Runtime;

use crate::certificates::{Authorities, TrustError};
use crate::outbound::{Client, ClientSettings, RequestError};

/// The most bytes of an answer that are read: a full page of services fits.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum HttpError {
    #[error("{}", first_cause(.0))]
    Request(#[from] RequestError),
    #[error("{}", first_cause(.0))]
    Trust(#[from] TrustError),
    #[error("the HTTP client does not start: {0}")]
    Runtime(#[source] io::Error),
    #[error("what was answered cannot be written: {0}")]
    Written(#[source] io::Error),
}

/// What an error comes down to; what stands above it tells a person nothing more.
fn first_cause(error: &dyn Error) -> &dyn Error {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

/// Sends one request on a connection of its own, and waits for the whole answer.
pub(super) fn send(
    request: Request<Bytes>,
    deadline: Duration,
) -> Result<Response<Bytes>, HttpError> {
    let (runtime, client) = open(&request, deadline)?;
    Ok(runtime.block_on(client.send(request))?)
}

/// Sends one request and hands on what it is answered with, piece by piece, however much that is. What does not tell of
/// success comes back whole.
pub(super) fn receive(
    request: Request<Bytes>,
    deadline: Duration,
    mut take: impl FnMut(Bytes) -> io::Result<()>,
) -> Result<(StatusCode, Bytes), HttpError> {
    let (runtime, client) = open(&request, deadline)?;
    runtime.block_on(async {
        let mut answer = client.begin(request).await?;
        let status = answer.head.status;
        if !status.is_success() {
            return Ok((status, answer.whole().await?.into_body()));
        }
        while let Some(piece) = answer.piece().await? {
            take(piece).map_err(HttpError::Written)?;
        }
        Ok((status, Bytes::new()))
    })
}

fn open(request: &Request<Bytes>, deadline: Duration) -> Result<(Runtime, Client), HttpError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(HttpError::Runtime)?;
    let is_secure = request.uri().scheme() == Some(&Scheme::HTTPS);
    let client = Client::open(&ClientSettings {
        authorities: if is_secure {
            Authorities::Machine
        } else {
            Authorities::None
        },
        deadline,
        max_body_bytes: MAX_ANSWER_BYTES,
    })?;
    Ok((runtime, client))
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
