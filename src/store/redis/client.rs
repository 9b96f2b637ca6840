//! The client of Redis that everything else here works with: it knows how keys are named, what every script takes first,
//! and whose clock judges; of what it is used for it knows nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value};
use tokio::time::Instant;

use super::RedisSettings;
use super::call::{Argument, Call};
use super::connections::{Address, Connections, OpenError, Slot};
use super::formats::Formats;
use super::keys::Keys;
use super::reply::Reply;
use super::streams::{self, PARTITIONS};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::store::node::clock::ServerClock;
use crate::store::node::tail::{Moments, NodeId};
use crate::store::{Partition, StoreError};

/// The connections to Redis, and what every request to it needs.
pub(super) struct Client {
    pub(super) connections: Connections,
    pub(super) keys: Keys,
    pub(super) formats: Formats,
    tombstone_retention: Duration,
    event_retention: Duration,
    test_clock: Option<Arc<dyn Clock>>,
    /// When this node last wrote where a stream lies.
    written: Moments,
    pub(super) node: NodeId,
}

impl Client {
    pub(super) async fn open(settings: &RedisSettings, node: NodeId) -> Result<Self, OpenError> {
        Ok(Self {
            connections: Connections::open(settings).await?,
            keys: Keys::new(&settings.prefix, settings.url.database()),
            formats: Formats::new(settings.formats),
            tombstone_retention: settings.tombstone_retention,
            event_retention: settings.event_retention,
            test_clock: settings.test_clock.clone(),
            written: Moments::new(PARTITIONS),
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
            None => self.connections.clock(slot),
        }
    }

    /// The moment to hand to scripts in place of their clock, if there is one.
    fn test_moment(&self) -> Option<Timestamp> {
        self.test_clock.as_ref().map(|clock| clock.now())
    }

    /// Runs a script on the hash tag of a slot, and reads what it answers.
    pub(super) async fn call<C: Call>(
        &self,
        slot: Slot,
        call: &C,
    ) -> Result<C::Answer, StoreError> {
        let keys = self.keys.indexes(slot);
        let mut args = Vec::new();
        self.test_moment().put(&mut args);
        self.tombstone_retention.put(&mut args);
        self.event_retention.put(&mut args);
        self.keys.channel().put(&mut args);
        args.push(self.node.to_be_bytes().to_vec());
        self.formats.written().put(&mut args);
        self.formats.newest.put(&mut args);
        call.put(&mut args);
        let (script, effect) = (C::script(), call.effect());
        let value = if C::REPLICATED {
            let connections = &self.connections;
            connections
                .replicated_script(slot, script, &keys, &args, effect)
                .await
        } else {
            self.connections
                .script(slot, script, &keys, &args, effect)
                .await
        };
        if script.writes() {
            self.note_written(slot);
        }
        read(call, Reply::new(value?)?)
    }

    /// Whatever came of it, from now on who asks this node is told of what it did.
    fn note_written(&self, slot: Slot) {
        if let Some(stream) = streams::in_slot(slot) {
            self.written.advance(stream, Instant::now());
        }
    }

    /// When this node last wrote where a stream lies.
    pub(super) fn written_at(&self, stream: Partition) -> Option<Instant> {
        self.written.at(stream)
    }

    /// Runs a script on one key, of which it knows nothing more.
    pub(super) async fn call_on<C: Call>(
        &self,
        slot: Slot,
        key: Vec<u8>,
        call: &C,
    ) -> Result<C::Answer, StoreError> {
        let (keys, args) = ([key], self.args_of_one_key(call));
        let (script, effect) = (C::script(), call.effect());
        let answer = self.connections.script(slot, script, &keys, &args, effect);
        read(call, Reply::new(answer.await?)?)
    }

    /// The same at one master, whatever slots that serves.
    pub(super) async fn call_at<C: Call>(
        &self,
        master: &Address,
        key: Vec<u8>,
        call: &C,
    ) -> Result<C::Answer, StoreError> {
        let (keys, args) = ([key], self.args_of_one_key(call));
        let answer = self
            .connections
            .script_at(master, C::script(), &keys, &args);
        read(call, Reply::new(answer.await?)?)
    }

    fn args_of_one_key(&self, call: &impl Call) -> Vec<Vec<u8>> {
        let mut args = Vec::new();
        self.test_moment().put(&mut args);
        call.put(&mut args);
        args
    }

    pub(super) async fn command(&self, slot: Slot, command: &Cmd) -> Result<Value, StoreError> {
        self.connections.command(slot, command).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Reads the word that an answer begins with, and what follows it.
fn read<C: Call>(call: &C, mut reply: Reply) -> Result<C::Answer, StoreError> {
    let word = reply.text()?;
    match call.answer(&word, &mut reply)? {
        Some(answer) => Ok(answer),
        None => Err(reply.unexpected(C::RECORD, &word)),
    }
}
