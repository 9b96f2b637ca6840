//! The client of Redis that everything else here works with: it knows how keys are named, what every script takes first,
//! and whose clock judges; of what it is used for it knows nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value};

use super::RedisSettings;
use super::args::Args;
use super::fields::reason_of;
use super::keys::Keys;
use super::link::{Effect, Link, OpenError, Script, Slot};
use super::reply::Reply;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::store::node::Listeners;
use crate::store::node::clock::ServerClock;
use crate::store::{Act, StoreError};

/// The connections to Redis, and what every request to it needs.
pub(super) struct Client {
    pub(super) link: Link,
    pub(super) keys: Keys,
    tombstone_retention: Duration,
    event_retention: Duration,
    test_clock: Option<Arc<dyn Clock>>,
    listeners: Arc<Listeners>,
}

impl Client {
    pub(super) async fn open(
        settings: &RedisSettings,
        listeners: Arc<Listeners>,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            link: Link::open(settings).await?,
            keys: Keys::new(&settings.prefix, settings.url.database()),
            tombstone_retention: settings.tombstone_retention,
            event_retention: settings.event_retention,
            test_clock: settings.test_clock.clone(),
            listeners,
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
        let mut reply = Reply::new(answer.await?)?;
        self.tell_acts(&mut reply)?;
        Ok(reply)
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
        let mut reply = self.run_bare(slot, script, keys, args, effect).await?;
        self.tell_acts(&mut reply)?;
        Ok(reply)
    }

    /// What every script on a hash tag takes first.
    fn with_settings(&self, args: Args) -> Args {
        Args::new()
            .maybe(self.test_moment().map(Timestamp::millis))
            .millis(self.tombstone_retention)
            .millis(self.event_retention)
            .text(self.keys.channel())
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

    /// Takes from an answer what the script did to sessions, and tells it.
    fn tell_acts(&self, reply: &mut Reply) -> Result<(), StoreError> {
        let mut acts = reply.last()?;
        while !acts.is_empty() {
            if let Some(act) = read(&mut acts.list()?)? {
                self.listeners.acted(&act);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// `None` if this version does not know it.
fn read(act: &mut Reply) -> Result<Option<Act>, StoreError> {
    Ok(match act.text()?.as_str() {
        "opened" => Some(Act::Opened),
        "ended" => {
            let reason = reason_of(&act.text()?);
            let lived = Duration::from_millis(u64::try_from(act.number()?).unwrap_or(0));
            reason.map(|reason| Act::Ended { reason, lived })
        }
        _ => None,
    })
}
