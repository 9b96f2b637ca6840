//! `Idempotency-Key` on POST: the same key and body within 24 hours has one effect and gets the same answer.
//!
//! Guarantees: of parallel requests with one key a single one runs, the others wait for its answer. If it was lost
//! between its effect and its answer, a repetition draws the same ids and credentials from the seed of the first
//! attempt and carries the same mark, by which the store knows the effect. Only 2xx answers are kept, and they and
//! the seed are kept encrypted under a key that takes both the `Idempotency-Key` and the caller's secret, neither of
//! which is stored. After the secret was rotated they cannot be read any more: such a repetition is refused with
//! `idempotency_key_reused`, because to run it again could repeat its effect.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use tracing::Instrument;

use crate::draw::Draw;
use crate::http::error::{ApiError, Failure};
use crate::http::extract::read_body;
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::store::node::Handle;
use crate::store::{Claim, ClaimKey, ClaimStore, StoreError};

mod answer;
mod key;
mod seal;
#[cfg(test)]
mod tests;

use answer::KeptAnswer;
use key::IdempotencyKey;
pub use seal::CallerKey;
use seal::Seal;

/// How often a request asks whether the one before it is done.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// How long it asks: as long as a claim can be held.
const WAIT: Duration = Duration::from_secs(10);

/// Whose key it is: keys of different services never meet.
#[derive(Debug)]
pub(crate) struct Claimant {
    /// The calling service.
    pub(crate) service_id: ServiceId,
    /// Made of its secret.
    pub(crate) key: CallerKey,
    /// Where claims are kept.
    pub(crate) claims: Handle<dyn ClaimStore>,
    /// When the request came, by the store's clock.
    pub(crate) now: Timestamp,
}

/// Runs the rest of a request, or answers as it was answered before if its key says that it is a repetition.
pub(crate) async fn run_once(
    claimant: &Claimant,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(key) = IdempotencyKey::read(request.headers())? else {
        return Ok(next.run(request).await);
    };
    let (mut parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await?;
    let claim_key = key.claim_key(&claimant.service_id, &parts.method, &parts.uri);
    let attempt = Attempt {
        claims: claimant.claims.clone(),
        key: claim_key,
        seal: Seal::new(&claimant.key, &key, claim_key)?,
    };
    let own_draw = attempt.seal.fresh_draw(claimant.now)?;
    match attempt.claim(fingerprint(&parts, &body), own_draw).await? {
        Claim::Granted { sealed_draw } => {
            let seed = attempt.seal.open_draw(&sealed_draw)?;
            parts.extensions.insert(Draw::Claimed(seed));
            let request = Request::from_parts(parts, Body::from(body));
            // A client that hangs up must not stop the request between its effect and its answer.
            let run = attempt.run(request, next).in_current_span();
            let finished = tokio::spawn(run).await;
            finished.unwrap_or_else(|error| Err(ApiError::Internal(Arc::new(error))))
        }
        Claim::Done { sealed_answer } => attempt.seal.open_answer(&sealed_answer)?.replay(),
        Claim::Reused => Err(ApiError::IdempotencyKeyReused),
        Claim::Busy => Err(ApiError::Busy),
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

/// One request with a key.
struct Attempt {
    claims: Handle<dyn ClaimStore>,
    key: ClaimKey,
    seal: Seal,
}

impl Attempt {
    async fn claim(&self, fingerprint: [u8; 32], own_draw: Vec<u8>) -> Result<Claim, ApiError> {
        let settled = async {
            loop {
                let claim = self.claims.claim(self.key, fingerprint, own_draw.clone());
                let claim = claim.await?;
                if claim != Claim::Busy {
                    break Ok(claim);
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let waited = tokio::time::timeout(WAIT, settled).await;
        waited.unwrap_or(Ok(Claim::Busy))
    }

    async fn run(self, request: Request, next: Next) -> Result<Response, ApiError> {
        let response = next.run(request).await;
        if response.status().is_success() {
            return self.keep(response).await;
        }
        if nothing_happened(&response) {
            log(self.claims.release(self.key).await);
        }
        Ok(response)
    }

    async fn keep(&self, response: Response) -> Result<Response, ApiError> {
        let (answer, response) = KeptAnswer::of(response).await?;
        let sealed = self.seal.answer(&answer)?;
        log(self.claims.keep_answer(self.key, sealed).await);
        Ok(response)
    }
}

/// The effect is there whatever becomes of the claim: its lease runs out, and a repetition finds the effect.
fn log(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "an idempotency claim is left to its lease");
    }
}

/// Whether a failed request certainly had no effect. If it may have had one, its claim is left to the lease, so that
/// a repetition gets the same draw and cannot have a second.
fn nothing_happened(response: &Response) -> bool {
    if !response.status().is_server_error() {
        return true;
    }
    let failure = response.extensions().get::<Failure>();
    failure.is_some_and(|failure| {
        if let ApiError::StoreUnavailable(error) = &*failure.error {
            matches!(
                **error,
                StoreError::Overloaded | StoreError::WritesStopped | StoreError::NewerFormat { .. }
            )
        } else {
            matches!(*failure.error, ApiError::Busy)
        }
    })
}
