//! Sweeping: every node goes over all shards, and what is over ends in the one script that meets it first.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};

use super::super::ABREAST;
use super::super::activity::Noted;
use super::super::call::{List, call};
use super::super::connections::{Effect, Slot};
use super::super::record::SESSION;
use super::Sessions;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::store::StoreError;
use crate::store::node::activity::{WriteUses, write_due};

/// Records that one step looks at.
const STEP: usize = 500;
/// Records that one script looks at, so that it holds nobody up.
const BATCH: usize = 100;
/// Scripts for one shard in one step: a login with very many short sessions must not outrun the sweep, nor the others
/// wait for it.
const ROUNDS: usize = 3;

/// A shard, and which of its sessions may be over.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) slot: Slot,
    pub(super) at: Timestamp,
    /// How many sessions it stores.
    pub(super) stored: u64,
    pub(super) ids: Vec<SessionId>,
}

call! {
    struct FindDue: "due.lua", "no-writes", [SHARD] {
        most: usize,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> (Timestamp, u64, Vec<SessionId>) {
        "done" => (reply.moment()?, reply.number()?.unsigned_abs(), reply.ids()?),
    }
}

call! {
    struct Sweep: "sweep.lua", "allow-oom", [SHARD, SESSION] {
        login_key: Option<Vec<u8>>,
        sessions: List<Noted>,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> i64 {
        "done" => {
            reply.moment()?;
            reply.number()?
        },
    }
}

impl Sessions {
    /// One bounded step over all shards. Tells whether it had too little room. Where it fails, the other shards are
    /// swept all the same.
    pub(super) async fn sweep(&self) -> Result<bool, StoreError> {
        let written = write_due(&*self.activity, self.activity.now()).await;
        let mut outcome = written.map(|_| false);
        let first = self.sweep_from.fetch_add(1, Ordering::Relaxed);
        let shards = (0..=u8::MAX).map(|shard| first.wrapping_add(shard));
        let found = shards.map(|shard| async move { (shard, self.due(shard, BATCH).await) });
        let mut found = stream::iter(found).buffered(ABREAST);
        let mut room = STEP;
        while let Some((shard, due)) = found.next().await {
            match self.sweep_shard(shard, due, &mut room).await {
                Ok(full) => outcome = outcome.map(|more| more || full),
                Err(error) => outcome = Err(error),
            }
            if room == 0 {
                return outcome.map(|_| true);
            }
        }
        outcome
    }

    /// Tells whether the shard had more than one step takes.
    async fn sweep_shard(
        &self,
        shard: u8,
        mut due: Result<Due, StoreError>,
        room: &mut usize,
    ) -> Result<bool, StoreError> {
        for _round in 0..ROUNDS {
            let Due { slot, mut ids, .. } = due?;
            let full = ids.len() == BATCH;
            ids.truncate(*room);
            *room -= ids.len();
            if !ids.is_empty() {
                self.end_expired(slot, None, &ids).await?;
            }
            if !full || *room == 0 {
                return Ok(full);
            }
            due = self.due(shard, BATCH).await;
        }
        Ok(true)
    }

    /// Which sessions of a shard may be over, at most so many.
    pub(super) async fn due(&self, shard: u8, most: usize) -> Result<Due, StoreError> {
        let slot = Slot::Shard(shard);
        let (at, stored, ids) = self.client.call(slot, &FindDue { most }).await?;
        Ok(Due {
            slot,
            at,
            stored,
            ids,
        })
    }

    /// Ends those of these sessions that are over, and forgets those that are not there: with the key of their login
    /// also in its index.
    pub(super) async fn end_expired(
        &self,
        slot: Slot,
        login_key: Option<Vec<u8>>,
        ids: &[SessionId],
    ) -> Result<(), StoreError> {
        let sweep = Sweep {
            login_key,
            sessions: self.activity.noted(ids),
        };
        let newer = self.client.call(slot, &sweep).await?;
        if newer > 0 {
            tracing::warn!(newer, "sessions of a newer format were left as they are");
        }
        Ok(())
    }
}
