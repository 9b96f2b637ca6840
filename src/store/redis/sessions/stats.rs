//! What the store tells of itself.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::super::RedisStore;
use super::super::call::call;
use super::super::connections::{Effect, Slot};
use super::super::record::SESSION;
use super::Sessions;
use crate::store::{SessionCounts, Stats, StoreError, StoreStats};

/// Records that one script counts, so that it holds nobody up.
const STEP: usize = 200;

/// Shards that are counted at a time: requests come first.
const SHARDS: usize = 2;

call! {
    struct CountSessions: "session_counts.lua", "no-writes", [SHARD] {
        after: Option<Vec<u8>>,
        most: usize,
        idle_after: Duration,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> (SessionCounts, Vec<u8>) {
        "done" => (
            SessionCounts {
                live: reply.number()?.unsigned_abs(),
                active: reply.number()?.unsigned_abs(),
                idle: reply.number()?.unsigned_abs(),
            },
            reply.bytes()?,
        ),
    }
}

#[async_trait]
impl StoreStats for RedisStore {
    async fn session_counts(&self) -> Result<SessionCounts, StoreError> {
        self.sessions.session_counts().await
    }

    fn stats(&self) -> Stats {
        Stats {
            uses_waiting: self.sessions.activity.buffer.waiting(),
            masters: self.client.connections.stats(),
            ..Stats::default()
        }
    }
}

impl Sessions {
    async fn session_counts(&self) -> Result<SessionCounts, StoreError> {
        let shards = stream::iter((0..=u8::MAX).map(|shard| self.counts_of(shard)));
        let mut counts = shards.buffer_unordered(SHARDS);
        let mut sum = SessionCounts::default();
        while let Some(count) = counts.next().await {
            sum = sum.and(count?);
        }
        Ok(sum)
    }

    async fn counts_of(&self, shard: u8) -> Result<SessionCounts, StoreError> {
        let slot = Slot::Shard(shard);
        let mut sum = SessionCounts::default();
        let mut count = CountSessions {
            after: None,
            most: STEP,
            idle_after: self.settings.idle_after,
        };
        loop {
            let (counted, last) = self.client.call(slot, &count).await?;
            sum = sum.and(counted);
            if last.is_empty() {
                return Ok(sum);
            }
            count.after = Some(last);
        }
    }
}
