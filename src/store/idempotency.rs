//! What is kept of idempotency keys.

use std::fmt::Debug;

use async_trait::async_trait;

use super::StoreError;
use crate::rules::idempotency::Claim;

/// The hash under which the record of a key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyRecordKey(pub [u8; 32]);

/// The records of idempotency keys, kept for 24 hours.
#[async_trait]
pub trait IdempotencyStore: Debug + Send + Sync {
    /// Claims a key for a request with this fingerprint, under a lease of ten seconds.
    async fn claim(
        &self,
        key: IdempotencyRecordKey,
        fingerprint: [u8; 32],
        sealed_entropy: Vec<u8>,
    ) -> Result<Claim, StoreError>;

    /// Whether what remains of an answer may be kept in the place of all of it: every gateway on the store reads it.
    fn may_keep_remains(&self) -> bool;

    /// Keeps the answer of a claimed request.
    async fn keep_answer(
        &self,
        key: IdempotencyRecordKey,
        sealed_answer: Vec<u8>,
    ) -> Result<(), StoreError>;

    /// Gives a claimed key up, as if the key had never been used.
    async fn release(&self, key: IdempotencyRecordKey) -> Result<(), StoreError>;
}
