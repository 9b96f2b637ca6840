//! What the store tells of itself.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::super::RedisStore;
use super::super::call::call;
use super::super::link::{Effect, Slot};
use super::super::record::SESSION;
use super::Sessions;
use crate::store::{Census, Figures, StoreError, StoreFigures};

/// Records that one script counts, so that it holds nobody up.
const STEP: usize = 200;

/// Shards that are counted at a time: requests come first.
const SHARDS: usize = 2;

call! {
    struct CountSessions: "census.lua", "no-writes", [SHARD] {
        after: Option<Vec<u8>>,
        most: usize,
        idle_after: Duration,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> (Census, Vec<u8>) {
        "done" => (
            Census {
                live: reply.number()?.unsigned_abs(),
                active: reply.number()?.unsigned_abs(),
                idle: reply.number()?.unsigned_abs(),
            },
            reply.bytes()?,
        ),
    }
}

#[async_trait]
impl StoreFigures for RedisStore {
    async fn census(&self) -> Result<Census, StoreError> {
        self.sessions.census().await
    }

    fn figures(&self) -> Figures {
        Figures {
            uses_waiting: self.sessions.activity.touches.waiting(),
            masters: self.client.link.figures(),
            ..Figures::default()
        }
    }
}

impl Sessions {
    async fn census(&self) -> Result<Census, StoreError> {
        let shards = stream::iter((0..=u8::MAX).map(|shard| self.census_of(shard)));
        let mut counts = shards.buffer_unordered(SHARDS);
        let mut sum = Census::default();
        while let Some(count) = counts.next().await {
            sum = sum.and(count?);
        }
        Ok(sum)
    }

    async fn census_of(&self, shard: u8) -> Result<Census, StoreError> {
        let slot = Slot::Shard(shard);
        let mut sum = Census::default();
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
