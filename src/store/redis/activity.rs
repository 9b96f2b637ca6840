//! Uses of sessions in Redis: a script writes those of one shard.

use std::sync::Arc;
use std::time::Duration;

use super::args::Args;
use super::client::Client;
use super::keys::slot_of;
use super::link::{Effect, Slot};
use super::places::PARTITIONS;
use super::scripts;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::store::node::activity::{SessionUse, Touches, WriteUses};
use crate::store::{Partitions, StoreError};

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

    /// A use of a session that this node has noted, in milliseconds.
    pub(super) fn used(&self, session_id: SessionId) -> Option<i64> {
        self.touches.latest(session_id).map(Timestamp::millis)
    }

    /// Sessions, each with the use of it that is still to be written.
    pub(super) fn sessions(&self, args: Args, ids: &[SessionId]) -> Args {
        let counted = args.show(ids.len());
        ids.iter().fold(counted, |args, id| {
            args.bytes(id.as_bytes()).maybe(self.used(*id))
        })
    }
}

impl WriteUses for Activity {
    const PARTITIONS: Partitions = PARTITIONS;

    fn touches(&self) -> &Touches {
        &self.touches
    }

    fn now(&self) -> Timestamp {
        self.client.clock(Slot::Shard(0)).now
    }

    async fn write(&self, uses: &[SessionUse]) -> Result<Timestamp, StoreError> {
        let Some(first) = uses.first() else {
            return Ok(WriteUses::now(self));
        };
        let counted = Args::new().show(uses.len());
        let args = uses.iter().fold(counted, |args, used| {
            args.bytes(used.session_id.as_bytes())
                .show(used.at.millis())
        });
        let slot = slot_of(first.session_id);
        self.client
            .run(slot, &scripts::USE, args, Effect::Repeatable)
            .await?;
        Ok(self.client.clock(slot).now)
    }
}
