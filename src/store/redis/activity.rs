//! Uses of sessions in Redis: a script writes those of one shard.

use std::sync::Arc;
use std::time::Duration;

use super::call::{List, call, table};
use super::client::Client;
use super::connections::{Effect, Slot};
use super::keys::slot_of;
use super::record::SESSION;
use super::streams::PARTITIONS;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::store::node::activity::{ActivityBuffer, SessionActivity, WriteUses};
use crate::store::{Partitions, StoreError};

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
    struct NotedUses: "use.lua", "allow-oom", [SHARD, SESSION] {
        uses: List<Use>,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, _reply) -> () { "done" => (), }
}

/// Uses of sessions that this node has noted and still has to write.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) buffer: ActivityBuffer,
    client: Arc<Client>,
}

impl Activity {
    pub(super) fn new(client: Arc<Client>, longest_interval: Duration) -> Self {
        Self {
            buffer: ActivityBuffer::new(longest_interval),
            client,
        }
    }

    /// A use of a session that this node has noted.
    pub(super) fn used(&self, session_id: SessionId) -> Option<Timestamp> {
        self.buffer.latest(session_id)
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
}

impl WriteUses for Activity {
    const PARTITIONS: Partitions = PARTITIONS;

    fn buffer(&self) -> &ActivityBuffer {
        &self.buffer
    }

    fn now(&self) -> Timestamp {
        self.client.clock(Slot::Shard(0)).now
    }

    async fn write(&self, uses: &[SessionActivity]) -> Result<Timestamp, StoreError> {
        let Some(first) = uses.first() else {
            return Ok(WriteUses::now(self));
        };
        let slot = slot_of(first.session_id);
        let uses_of = |used: &SessionActivity| Use {
            id: used.session_id,
            at: used.at,
        };
        let write = NotedUses {
            uses: List(uses.iter().map(uses_of).collect()),
        };
        self.client.call(slot, &write).await?;
        Ok(self.client.clock(slot).now)
    }
}
