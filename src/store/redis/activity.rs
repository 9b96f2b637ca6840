//! Uses of sessions that were noted are written in the background, in time for each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::ABREAST;
use super::call::{List, call, table};
use super::client::Client;
use super::keys::slot_of;
use super::link::{Effect, Slot};
use super::record::SESSION;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::store::touches::{SessionUse, Touches};
use crate::store::{Part, StoreError};

/// How often uses are looked after. What would be due before the next time is written now: so none is late, and those of
/// a shard share a script.
const PERIOD: Duration = Duration::from_millis(250);
/// Uses that are written at a time.
const BATCH: usize = 4_096;
/// Uses that one script writes, so that it holds nobody up.
const SCRIPT: usize = 100;

/// Writes uses until the store is closed, and then what is left.
pub(super) async fn write_until(activity: Arc<Activity>, closed: CancellationToken) {
    let mut wait = PERIOD;
    let mut failing = false;
    loop {
        tokio::select! {
            () = closed.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let now = activity.client.clock(Slot::Shard(0)).now;
        let written = activity.write_uses(now.plus(PERIOD)).await;
        if let Err(error) = &written
            && !failing
        {
            tracing::warn!(%error, "uses of sessions wait to be written");
        }
        failing = written.is_err();
        let full = written.is_ok_and(|written| written == BATCH);
        wait = if full { Duration::ZERO } else { PERIOD };
    }
    let end_of_time = Timestamp::from_millis(i64::MAX);
    while activity
        .write_uses(end_of_time)
        .await
        .is_ok_and(|written| written > 0)
    {}
}

table! {
    /// A session, with the use of it that is still to be written.
    struct Noted {
        id: SessionId,
        used: Option<Timestamp>,
    }
}

table! {
    struct Use {
        id: SessionId,
        at: Timestamp,
    }
}

call! {
    struct WriteUses: "use.lua", "allow-oom", [SHARD, SESSION] {
        uses: List<Use>,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, _reply) -> () { "done" => (), }
}

/// Uses of sessions that this node has noted and still has to write.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) touches: Touches,
    client: Arc<Client>,
}

impl Activity {
    pub(super) fn new(client: Arc<Client>, longest_interval: Duration) -> Self {
        Self {
            touches: Touches::new(longest_interval),
            client,
        }
    }

    /// A use of a session that this node has noted.
    pub(super) fn used(&self, session_id: SessionId) -> Option<Timestamp> {
        self.touches.latest(session_id)
    }

    /// Sessions, each with the use of it that is still to be written.
    pub(super) fn noted(&self, ids: &[SessionId]) -> List<Noted> {
        List(ids.iter().map(|id| self.noted_of(*id)).collect())
    }

    pub(super) fn noted_of(&self, id: SessionId) -> Noted {
        Noted {
            id,
            used: self.used(id),
        }
    }

    /// Writes the uses that are due by a moment, and tells how many there were. What could not be written stays.
    pub(super) async fn write_uses(&self, due_by: Timestamp) -> Result<usize, StoreError> {
        let due = self.touches.due(due_by, BATCH);
        let count = due.len();
        let writes = together(due).into_iter();
        let mut writes =
            stream::iter(writes.map(|uses| self.write_together(uses))).buffer_unordered(ABREAST);
        let mut outcome = Ok(count);
        while let Some(written) = writes.next().await {
            if let Err(error) = written {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Writes uses of sessions in one shard.
    async fn write_together(&self, uses: Vec<SessionUse>) -> Result<(), StoreError> {
        let Some(first) = uses.first() else {
            return Ok(());
        };
        let slot = slot_of(first.session_id);
        let uses_of = |used: &SessionUse| Use {
            id: used.session_id,
            at: used.at,
        };
        let write = WriteUses {
            uses: List(uses.iter().map(uses_of).collect()),
        };
        self.client.call(slot, &write).await?;
        let now = self.client.clock(slot).now;
        for used in uses {
            self.touches.written(used, now);
        }
        Ok(())
    }
}

/// What one script can write.
fn together(mut due: Vec<SessionUse>) -> Vec<Vec<SessionUse>> {
    let part = |used: &SessionUse| Part::of_session(used.session_id);
    due.sort_unstable_by_key(part);
    let shards = due.chunk_by(|one, other| part(one) == part(other));
    let scripts = shards.flat_map(|uses| uses.chunks(SCRIPT));
    scripts.map(<[SessionUse]>::to_vec).collect()
}
