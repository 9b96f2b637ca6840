//! Operations on events and claims, and the stats, as callers ask for them: each is timed.

use super::Handle;
use super::observer::Observer;
use super::operations::Operation;
use crate::model::event::{EventType, FeedStart};
use crate::model::page::PageLimit;
use crate::rules::idempotency::Claim;
use crate::store::{
    EventFeed, EventPage, IdempotencyRecordKey, IdempotencyStore, OpError, SessionCounts, Stats,
    StoreError, StoreStats,
};

impl Handle<dyn EventFeed> {
    /// Events after a place, of the given types (empty: of all).
    pub async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError> {
        let read = self.engine().events(from, types, limit);
        self.timed(Operation::Events, read).await
    }
}

impl Handle<dyn IdempotencyStore> {
    /// Claims a key for a request with this fingerprint.
    pub async fn claim(
        &self,
        key: IdempotencyRecordKey,
        fingerprint: [u8; 32],
        sealed_entropy: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        let claim = self.engine().claim(key, fingerprint, sealed_entropy);
        self.timed(Operation::Claim, claim).await
    }

    /// Keeps the answer of a claimed request.
    pub async fn keep_answer(
        &self,
        key: IdempotencyRecordKey,
        sealed_answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        let keep = self.engine().keep_answer(key, sealed_answer);
        self.timed(Operation::KeepAnswer, keep).await
    }

    /// Gives a claim up, as if the key had never been used.
    pub async fn release(&self, key: IdempotencyRecordKey) -> Result<(), StoreError> {
        self.timed(Operation::Release, self.engine().release(key))
            .await
    }
}

impl Handle<dyn StoreStats> {
    /// Counts the sessions that live now: [`StoreStats::session_counts`].
    pub async fn session_counts(&self) -> Result<SessionCounts, StoreError> {
        self.timed(Operation::SessionCounts, self.engine().session_counts())
            .await
    }

    /// What this node sees, from memory.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let operations = self.observer.as_ref().map(Observer::stats);
        Stats {
            operations: operations.unwrap_or_default(),
            cache: self.cache.as_ref().map(|cache| cache.stats()),
            ..self.engine().stats()
        }
    }
}
