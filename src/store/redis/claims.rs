//! Claims of idempotency keys.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis;

use super::args::Args;
use super::link::{Effect, Slot};
use super::{RedisStore, scripts};
use crate::model::Timestamp;
use crate::store::{Claim, ClaimKey, ClaimStore, StoreError};

/// How long whoever claims a key has for its request before a repetition may go ahead.
const LEASE: Duration = Duration::from_secs(10);
/// How long a claim is kept.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// What error messages call a claim.
const CLAIM: &str = "claim";

#[async_trait]
impl ClaimStore for RedisStore {
    async fn claim(
        &self,
        key: ClaimKey,
        fingerprint: [u8; 32],
        sealed_draw: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        let inner = &self.client;
        let args = Args::new()
            .maybe(inner.test_moment().map(Timestamp::millis))
            .bytes(&fingerprint)
            .bytes(&sealed_draw)
            .millis(LEASE)
            .millis(RETENTION);
        let keys = vec![inner.keys.claim(&key.0)];
        let slot = Slot::Hash(key.0);
        let mut reply = inner
            .run_bare(slot, &scripts::CLAIM, keys, args, Effect::Once)
            .await?;
        match reply.text()?.as_str() {
            "granted" => Ok(Claim::Granted {
                sealed_draw: reply.bytes()?,
            }),
            "busy" => Ok(Claim::Busy),
            "reused" => Ok(Claim::Reused),
            "answered" => Ok(Claim::Done {
                sealed_answer: reply.bytes()?,
            }),
            word => Err(reply.unexpected(CLAIM, word)),
        }
    }

    async fn keep_answer(&self, key: ClaimKey, sealed_answer: Vec<u8>) -> Result<(), StoreError> {
        let inner = &self.client;
        let args = Args::new()
            .maybe(inner.test_moment().map(Timestamp::millis))
            .bytes(&sealed_answer);
        let keys = vec![inner.keys.claim(&key.0)];
        let slot = Slot::Hash(key.0);
        let mut reply = inner
            .run_bare(slot, &scripts::ANSWER, keys, args, Effect::Repeatable)
            .await?;
        match reply.text()?.as_str() {
            "done" => Ok(()),
            word => Err(reply.unexpected(CLAIM, word)),
        }
    }

    async fn release(&self, key: ClaimKey) -> Result<(), StoreError> {
        let mut delete = redis::cmd("DEL");
        delete.arg(self.client.keys.claim(&key.0));
        self.client.command(Slot::Hash(key.0), &delete).await?;
        Ok(())
    }
}
