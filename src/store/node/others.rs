//! Operations on events and claims, and the figures, as callers ask for them: each is timed.

use super::Handle;
use super::observer::Observer;
use super::operations::Operation;
use crate::model::event::{EventType, FeedPlace};
use crate::model::page::PageLimit;
use crate::rules::idempotency::Claim;
use crate::store::{
    Census, ClaimKey, ClaimStore, EventFeed, EventPage, Figures, OpError, StoreError, StoreFigures,
};

impl Handle<dyn EventFeed> {
    /// Events after a place, of the given types (empty: of all).
    pub async fn events(
        &self,
        from: &FeedPlace,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError> {
        let read = self.engine().events(from, types, limit);
        self.timed(Operation::Events, read).await
    }
}

impl Handle<dyn ClaimStore> {
    /// Claims a key for a request with this fingerprint.
    pub async fn claim(
        &self,
        key: ClaimKey,
        fingerprint: [u8; 32],
        sealed_draw: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        let claim = self.engine().claim(key, fingerprint, sealed_draw);
        self.timed(Operation::Claim, claim).await
    }

    /// Keeps the answer of a claimed request.
    pub async fn keep_answer(
        &self,
        key: ClaimKey,
        sealed_answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        let keep = self.engine().keep_answer(key, sealed_answer);
        self.timed(Operation::KeepAnswer, keep).await
    }

    /// Gives a claim up, as if the key had never been used.
    pub async fn release(&self, key: ClaimKey) -> Result<(), StoreError> {
        self.timed(Operation::Release, self.engine().release(key))
            .await
    }
}

impl Handle<dyn StoreFigures> {
    /// Counts the sessions that live now: [`StoreFigures::census`].
    pub async fn census(&self) -> Result<Census, StoreError> {
        self.timed(Operation::Census, self.engine().census()).await
    }

    /// What this node sees, from memory.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let operations = self.observer.as_ref().map(Observer::figures);
        Figures {
            operations: operations.unwrap_or_default(),
            cache: self.cache.as_ref().map(|cache| cache.figures()),
            ..self.engine().figures()
        }
    }
}
