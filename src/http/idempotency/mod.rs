//! `Idempotency-Key` on POST. What makes a repetition is the caller, the method, the target, the type and the body.
//!
//! What is kept of an answer, if it tells of success, has a bound, so that no caller fills the store with answers: either
//! status, headers and body, where these are small whatever is asked ([`Idempotency::Kept`]), or what the handler makes
//! the answer of again ([`Idempotency::Rebuilt`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use tracing::Instrument;
use zeroize::Zeroizing;

use super::error::{ApiError, Failure};
use super::extract::read_body;
use crate::gateway::idempotency::{Attempt, Call, Claimant, Claimed, IdempotencyKey, Kept};
use crate::gateway::quotas::Held;
use crate::model::Timestamp;

mod answer;
mod kind;
mod remains;
#[cfg(test)]
mod tests;

pub(super) use kind::Idempotency;
pub(super) use remains::{Repeated, rebuildable};

use answer::KeptAnswer;
use remains::Remains;

const HEADER: &str = "idempotency-key";

/// Refuses a key of whatever form.
pub(super) fn refuse_key(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(HEADER) {
        return Err(ApiError::IdempotencyNotPossible);
    }
    Ok(())
}

/// Reads the key of a request, if it has one.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = match values.next() {
        None => IdempotencyKey::parse(value.as_bytes()),
        Some(_second) => None,
    };
    key.map(Some).ok_or_else(|| {
        ApiError::InvalidRequest(format!(
            "Idempotency-Key must be given once, with 1 to {} visible ASCII characters, bare or in double quotes",
            IdempotencyKey::MAX_LENGTH
        ))
    })
}

/// Runs the rest of a request; a repetition, as its key says, has no further effect.
pub(super) async fn run_once(
    claimant: Claimant,
    key: &IdempotencyKey,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await?;
    let call = Call {
        method: parts.method.as_str(),
        target: parts
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str()),
        fingerprint: fingerprint(&parts, &body),
    };
    let now = claimant.now;
    match claimant.claim(key, call).await? {
        Claimed::First(attempt, entropy) => {
            parts.extensions.insert(entropy);
            let held = parts.extensions.get::<Arc<Held>>().cloned();
            let request = Request::from_parts(parts, Body::from(body));
            // A client that hangs up must not stop the request between its effect and its answer. It is worked on until then.
            let run = async move {
                let _held = held;
                run(attempt, now, request, next).await
            };
            let run = run.in_current_span();
            let finished = tokio::spawn(run).await;
            finished.unwrap_or_else(|error| Err(ApiError::internal(error)))
        }
        Claimed::Repeated(Kept::Answer(answer)) => KeptAnswer::decode(&answer)?.replay(),
        Claimed::Repeated(Kept::Remains(remains)) => {
            parts.extensions.insert(Remains(Arc::new(remains)));
            Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
        }
    }
}

fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    Sha256::new()
        .chain_update(kind)
        .chain_update([0])
        .chain_update(body)
        .finalize()
        .into()
}

async fn run(
    attempt: Box<Attempt>,
    now: Timestamp,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let response = next.run(request).await;
    if response.status().is_success() {
        return keep(&attempt, now, response).await;
    }
    if nothing_happened(&response) {
        attempt.release().await;
    }
    Ok(response)
}

async fn keep(
    attempt: &Attempt,
    now: Timestamp,
    mut response: Response,
) -> Result<Response, ApiError> {
    let remains = response.extensions_mut().remove::<Remains>();
    if let Some(Remains(remains)) = remains.filter(|_| attempt.may_keep_remains()) {
        let remains = Zeroizing::new(remains.to_vec());
        attempt.keep(&Kept::Remains(remains), now).await?;
        return Ok(response);
    }
    let (answer, response) = KeptAnswer::of(response).await?;
    let answer = Kept::Answer(answer.encode()?);
    attempt.keep(&answer, now).await?;
    Ok(response)
}

/// Whether a failed request certainly had no effect.
fn nothing_happened(response: &Response) -> bool {
    let failure = response.extensions().get::<Failure>();
    let is_harmless = |failure: &Failure| matches!(&*failure.error, ApiError::Gateway(error) if error.is_without_effect());
    !response.status().is_server_error() || failure.is_some_and(is_harmless)
}
