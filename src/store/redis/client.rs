//! The client of Redis that everything else here works with: it knows how keys are named, what every script takes first,
//! and whose clock judges; of what it is used for it knows nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value};

use super::RedisSettings;
use super::args::Args;
use super::keys::Keys;
use super::link::{Effect, Link, OpenError, Script, Slot};
use super::reply::Reply;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::node::clock::ServerClock;
use crate::store::node::tail::NodeId;

/// The connections to Redis, and what every request to it needs.
pub(super) struct Client {
    pub(super) link: Link,
    pub(super) keys: Keys,
    tombstone_retention: Duration,
    event_retention: Duration,
    test_clock: Option<Arc<dyn Clock>>,
    pub(super) node: NodeId,
}

impl Client {
    pub(super) async fn open(settings: &RedisSettings, node: NodeId) -> Result<Self, OpenError> {
        Ok(Self {
            link: Link::open(settings).await?,
            keys: Keys::new(&settings.prefix, settings.url.database()),
            tombstone_retention: settings.tombstone_retention,
            event_retention: settings.event_retention,
            test_clock: settings.test_clock.clone(),
            node,
        })
    }

    /// The clock that judges what lies in a slot.
    pub(super) fn clock(&self, slot: Slot) -> ServerClock {
        match &self.test_clock {
            Some(clock) => ServerClock {
                now: clock.now(),
                error: Duration::ZERO,
            },
            None => self.link.clock(slot),
        }
    }

    /// The moment to hand to scripts in place of their clock, if there is one.
    pub(super) fn test_moment(&self) -> Option<Timestamp> {
        self.test_clock.as_ref().map(|clock| clock.now())
    }

    /// Runs a script on the hash tag of a slot.
    pub(super) async fn run(
        &self,
        slot: Slot,
        script: &Script,
        args: Args,
        effect: Effect,
    ) -> Result<Reply, StoreError> {
        let keys = self.keys.indexes(slot);
        self.run_on(slot, script, keys, args, effect).await
    }

    /// The same for what a failover must not take back: waits for replicas if the settings ask for them.
    pub(super) async fn run_replicated(
        &self,
        slot: Slot,
        script: &Script,
        args: Args,
        effect: Effect,
    ) -> Result<Reply, StoreError> {
        let (keys, args) = (self.keys.indexes(slot), self.with_settings(args));
        let answer = self
            .link
            .replicated_script(slot, script, &keys, &args.0, effect);
        Reply::new(answer.await?)
    }

    /// The same with more keys.
    pub(super) async fn run_on(
        &self,
        slot: Slot,
        script: &Script,
        keys: Vec<Vec<u8>>,
        args: Args,
        effect: Effect,
    ) -> Result<Reply, StoreError> {
        let args = self.with_settings(args);
        self.run_bare(slot, script, keys, args, effect).await
    }

    /// What every script on a hash tag takes first.
    fn with_settings(&self, args: Args) -> Args {
        Args::new()
            .maybe(self.test_moment().map(Timestamp::millis))
            .millis(self.tombstone_retention)
            .millis(self.event_retention)
            .text(self.keys.channel())
            .bytes(&self.node.to_be_bytes())
            .all(args.0)
    }

    /// Runs a script that takes nothing for granted.
    pub(super) async fn run_bare(
        &self,
        slot: Slot,
        script: &Script,
        keys: Vec<Vec<u8>>,
        args: Args,
        effect: Effect,
    ) -> Result<Reply, StoreError> {
        let answer = self.link.script(slot, script, &keys, &args.0, effect);
        Reply::new(answer.await?)
    }

    pub(super) async fn command(&self, slot: Slot, command: &Cmd) -> Result<Value, StoreError> {
        self.link.command(slot, command).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
