//! Idempotency keys: the same call with the same key within 24 hours has one effect and gets the same answer.
//!
//! Guarantees: of parallel calls with one key a single one runs, the others wait for its answer. If it was lost
//! between its effect and its answer, a repetition draws the same ids and credentials from the seed of the first
//! attempt and carries the same operation id, by which the store knows the effect. Only answers that tell of success
//! are kept, and of those that show a session or a service only what cannot be made again ([`Kept`]). They and the seed
//! are kept encrypted under a key that takes both the idempotency key and the caller's secret, neither of which is
//! stored. After the secret was rotated they cannot be read any more: such a repetition is refused as
//! [`GatewayError::IdempotencyKeyUnreadable`], because to run it again could repeat its effect.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::GatewayError;
use super::quotas::ServiceQuotas;
use crate::entropy::{Entropy, SessionIds};
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::model::service::Service;
use crate::rules::idempotency::Claim;
use crate::store::node::Handle;
use crate::store::{IdempotencyRecordKey, IdempotencyStore, StoreError};

mod key;
mod seal;

pub use key::IdempotencyKey;
pub use seal::CallerKey;

use seal::Seal;

/// How often a request asks whether the one before it is done.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// What a record takes beside the answer: its key, the fingerprint, the sealed draw, and the names of its fields.
const RECORD_BYTES: u64 = 256;

/// How long it asks: as long as a claim can be held.
const WAIT: Duration = Duration::from_secs(10);

/// Whose key it is: keys of different services never meet.
#[derive(Debug)]
pub struct Claimant {
    /// The calling service.
    pub service: Service,
    /// Made of its secret.
    pub key: CallerKey,
    /// Where the records are.
    pub records: Handle<dyn IdempotencyStore>,
    /// When the request came, by the store's clock.
    pub now: Timestamp,
    /// What its randomness takes its turn among.
    pub session_ids: Arc<SessionIds>,
    /// How much may be kept for it.
    pub quotas: Arc<ServiceQuotas>,
}

/// What a key is used for.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What is done.
    pub method: &'a str,
    /// To what.
    pub target: &'a str,
    /// SHA-256 of all that makes another call of it.
    pub fingerprint: [u8; 32],
}

/// What is kept of an answer, in whatever form the way in gives it. Its `Debug` form does not show it, as it may hold a
/// credential.
#[derive(PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    Answer(Zeroizing<Vec<u8>>),
    /// What cannot be made again: ids, secrets, counts. What is shown beside them is shown as it is at the repetition.
    Remains(Zeroizing<Vec<u8>>),
}

impl Kept {
    /// The most bytes, so that a caller cannot fill the store with answers. The largest there is tells of 199 sessions that
    /// made room and of a token of 512 characters.
    pub const MAX_BYTES: usize = 4_096;

    fn is_within_bound(&self) -> bool {
        let (Self::Answer(bytes) | Self::Remains(bytes)) = self;
        bytes.len() <= Self::MAX_BYTES
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Answer(_) => "Answer(…)",
            Self::Remains(_) => "Remains(…)",
        })
    }
}

/// What becomes of a call with a key.
#[derive(Debug)]
pub enum Claimed {
    /// It goes ahead, with this randomness.
    First(Box<Attempt>, Entropy),
    /// It was done, and this was kept of its answer.
    Repeated(Kept),
}

impl Claimant {
    /// Claims a key; whoever comes second waits for the first. A new one is refused when as much is kept for the service as
    /// may be; a request that may have run goes on, as its effect may be there.
    pub async fn claim(
        &self,
        key: &IdempotencyKey,
        call: Call<'_>,
    ) -> Result<Claimed, GatewayError> {
        let record_key = key.record_key(&self.service.service_id, call.method, call.target);
        let attempt = Attempt {
            records: self.records.clone(),
            key: record_key,
            seal: Seal::new(&self.key, key, record_key)?,
            service_id: self.service.service_id.clone(),
            quotas: Arc::clone(&self.quotas),
        };
        let own_seed = attempt.seal.seed(&self.session_ids.seed(self.now)?)?;
        match attempt.claim(call.fingerprint, own_seed.clone()).await? {
            Claim::Granted { sealed_entropy } => {
                let allowance = self.quotas.allowance(&self.service, self.now);
                if sealed_entropy == own_seed
                    && let Err(full) = allowance.check_kept(self.now)
                {
                    attempt.release().await;
                    return Err(full);
                }
                let seed = attempt.seal.open_seed(&sealed_entropy)?;
                Ok(Claimed::First(Box::new(attempt), Entropy::Claimed(seed)))
            }
            Claim::Done { sealed_answer } => {
                let kept = attempt.seal.open_kept(&sealed_answer)?;
                Ok(Claimed::Repeated(kept))
            }
            Claim::Reused => Err(GatewayError::IdempotencyKeyReused),
            Claim::Busy => Err(GatewayError::Busy),
        }
    }
}

/// One call with a key that runs. What is neither kept nor released is left to its lease: a repetition gets the same
/// randomness, and cannot have a second effect.
pub struct Attempt {
    records: Handle<dyn IdempotencyStore>,
    key: IdempotencyRecordKey,
    seal: Seal,
    service_id: ServiceId,
    quotas: Arc<ServiceQuotas>,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}

impl Attempt {
    async fn claim(&self, fingerprint: [u8; 32], own_seed: Vec<u8>) -> Result<Claim, GatewayError> {
        let settled = async {
            loop {
                let claim = self.records.claim(self.key, fingerprint, own_seed.clone());
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

    /// Whether every gateway that may be asked again reads [`Kept::Remains`].
    #[must_use]
    pub fn may_keep_remains(&self) -> bool {
        self.records.may_keep_remains()
    }

    /// Keeps the answer for repetitions; one over the bound is left to its lease, once all gateways know of the bound.
    pub async fn keep(&self, kept: &Kept, now: Timestamp) -> Result<(), GatewayError> {
        if !kept.is_within_bound() && self.may_keep_remains() {
            tracing::error!("an answer is too large to be kept for repetitions");
            return Ok(());
        }
        let sealed = self.seal.kept(kept)?;
        let bytes = RECORD_BYTES.saturating_add(sealed.len() as u64);
        self.quotas.count_kept(&self.service_id, bytes, now);
        log(self.records.keep_answer(self.key, sealed).await);
        Ok(())
    }

    /// Gives the key free: certainly nothing was done.
    pub async fn release(&self) {
        log(self.records.release(self.key).await);
    }
}

/// The effect is there whatever becomes of the claim: its lease runs out, and a repetition finds the effect.
fn log(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "an idempotency record is left to its lease");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_does_not_print() {
        let repeated = Claimed::Repeated(Kept::Answer(Zeroizing::new(b"hush".to_vec())));
        assert_eq!(format!("{repeated:?}"), "Repeated(Answer(…))");
    }
}
