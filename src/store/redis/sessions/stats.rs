//! What the store tells of itself.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::super::call::call;
use super::super::connections::{Effect, Slot};
use super::super::record::SESSION;
use super::super::reply::Reply;
use super::super::{ABREAST, RedisStore};
use super::Sessions;
use crate::model::owner::Owner;
use crate::store::{SessionCounts, Stats, StoreError, StoreStats};

/// What error messages call a count of sessions.
const OWNER: &str = "owner";
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

call! {
    struct CountOwned: "owned.lua", "no-writes", [SHARD] {}
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> Vec<(Owner, u64)> { "done" => owned(&mut reply.list()?)?, }
}

/// Owners as scripts name them, each with its count.
fn owned(reply: &mut Reply) -> Result<Vec<(Owner, u64)>, StoreError> {
    let mut counts = Vec::new();
    while !reply.is_empty() {
        let (key, count) = (reply.text()?, reply.text()?);
        let owner = Owner::of_key(&key).zip(count.parse().ok());
        counts.push(owner.ok_or_else(|| StoreError::Corrupt {
            record: OWNER,
            cause: key.into(),
        })?);
    }
    Ok(counts)
}

#[async_trait]
impl StoreStats for RedisStore {
    async fn session_counts(&self) -> Result<SessionCounts, StoreError> {
        self.sessions.session_counts().await
    }

    async fn owned(&self) -> Result<HashMap<Owner, u64>, StoreError> {
        let shards = (0..=u8::MAX).map(|shard| {
            let client = &self.client;
            async move { client.call(Slot::Shard(shard), &CountOwned {}).await }
        });
        let mut counts = stream::iter(shards).buffer_unordered(ABREAST);
        let mut sum = HashMap::new();
        while let Some(of_shard) = counts.next().await {
            for (owner, count) in of_shard? {
                *sum.entry(owner).or_default() += count;
            }
        }
        Ok(sum)
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
