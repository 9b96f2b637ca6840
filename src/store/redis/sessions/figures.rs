//! What the store tells of itself.

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::super::args::Args;
use super::super::link::{Effect, Slot};
use super::super::{RedisStore, scripts};
use super::Sessions;
use crate::store::{Census, Figures, StoreError, StoreFigures};

/// Records that one script counts, so that it holds nobody up.
const STEP: usize = 200;

/// Shards that are counted at a time: requests come first.
const SHARDS: usize = 2;

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
        let mut after = Vec::new();
        loop {
            let args = Args::new()
                .bytes(&after)
                .show(STEP)
                .millis(self.settings.idle_after);
            let effect = Effect::Repeatable;
            let mut reply = self
                .client
                .run(slot, &scripts::CENSUS, args, effect)
                .await?;
            reply.text()?;
            sum = sum.and(Census {
                live: reply.number()?.unsigned_abs(),
                active: reply.number()?.unsigned_abs(),
                idle: reply.number()?.unsigned_abs(),
            });
            after = reply.bytes()?;
            if after.is_empty() {
                return Ok(sum);
            }
        }
    }
}
