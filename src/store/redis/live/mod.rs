//! Events as they happen: one task listens at every master, tells the listeners, and knows until when it has heard all.
//!
//! Scripts publish each event in the same step that appends it. What a channel loses is read from the streams. Every
//! 250 ms a heartbeat is written and published at each master; hearing one's own proves that master's channel up to the
//! moment it was sent, for the parts that the master served when it took it. A master that cannot write, is frozen, or
//! whose channel is dead proves nothing, and requests do not notice any of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::agreement::Agreement;
use super::client::Client;
use super::connections::{Address, Signal, Topology};
use super::feed::Feed;
use super::services::Services;
use super::streams::{self, PARTITIONS, STREAMS};
use crate::model::Timestamp;
use crate::rules::rotate::TokenRotation;
use crate::store::Partition;
use crate::store::node::recovery::{RecoveryEntry, RecoveryLog, WrittenService};
use crate::store::node::tail::{Entry, Tail};

mod channels;
mod message;
mod tasks;

use channels::Channels;
use message::{Heartbeat, Message};
use tasks::Task;

/// Between two heartbeats.
const BEAT: Duration = Duration::from_millis(250);

/// Who serves a stream, and whose history that is.
#[derive(Debug, Clone, Default)]
struct Served {
    master: Option<Address>,
    history: Option<Arc<str>>,
}

/// What it takes to follow the feed.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) client: Arc<Client>,
    pub(super) feed: Arc<Feed>,
    pub(super) tail: Tail,
    pub(super) log: Arc<RecoveryLog>,
    pub(super) services: Arc<Services>,
    pub(super) agreement: Agreement,
    pub(super) is_cluster: bool,
}

struct Follower {
    live: Live,
    channels: Channels,
    streams: Vec<Served>,
    reading: usize,
    tasks: FuturesUnordered<BoxFuture<'static, Task>>,
}

/// Follows the feed until the store is closed.
pub(super) async fn follow_until(live: Live, closed: CancellationToken) {
    let mut signals = live
        .client
        .connections
        .subscribe(live.client.keys.channel());
    let mut topology = live.client.connections.topology();
    let mut follower = Follower::new(live);
    topology.mark_changed();
    let mut heartbeats = interval(BEAT);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            Some(signal) = signals.recv() => follower.hear(signal),
            Ok(()) = topology.changed() => {
                let masters = topology.borrow_and_update().clone();
                follower.look_at(&masters);
            }
            _ = heartbeats.tick() => follower.heartbeat(),
            Some(task) = follower.tasks.next() => follower.done(task),
        }
        follower.read_on();
    }
}

impl Follower {
    fn new(live: Live) -> Self {
        Self {
            live,
            channels: Channels::default(),
            streams: vec![Served::default(); STREAMS],
            reading: 0,
            tasks: FuturesUnordered::new(),
        }
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Listening { master } => {
                for stream in self.served_by(&master) {
                    self.live.tail.fall_behind(stream);
                    self.listen(stream, Some(Instant::now()));
                }
                self.channels.opened(master);
            }
            Signal::Lost { master } => {
                for stream in self.served_by(&master) {
                    self.live.tail.lose(stream);
                    self.listen(stream, None);
                }
                self.channels.lost(&master);
            }
            Signal::Message { master, payload } => match message::decode(&payload) {
                Some(Message::Event { stream, entry }) => self.take(&master, stream, entry),
                Some(Message::Rotation(rotation, at)) => self.keep(&master, rotation, at),
                Some(Message::Heartbeat(heartbeat)) => self.take_heartbeat(&master, &heartbeat),
                None => {}
            },
        }
    }

    fn served_by(&self, master: &Address) -> Vec<Partition> {
        let own = |stream: &Partition| self.is_served_by(*stream, master);
        PARTITIONS.all().filter(own).collect()
    }

    fn is_served_by(&self, stream: Partition, master: &Address) -> bool {
        let served = self.streams.get(stream.0);
        served.is_some_and(|served| served.master.as_ref() == Some(master))
    }

    /// On a cluster each master passes on what all others say; only what the own one says is complete.
    fn take(&mut self, master: &Address, stream: Partition, entry: Entry) {
        if self.is_served_by(stream, master) {
            let written = self.live.tail.hear(stream, entry);
            self.remember(written);
        }
    }

    /// What a node rotates, all can make again.
    fn keep(&self, master: &Address, rotation: TokenRotation, at: Timestamp) {
        if self.is_served_by(PARTITIONS.of_session(rotation.session_id), master) {
            self.live.log.keep(RecoveryEntry::Rotated(rotation, at));
        }
    }

    /// Every gateway that can do anything reaches the master of the services, so those count that are heard of there.
    fn listen(&mut self, stream: Partition, since: Option<Instant>) {
        if stream == PARTITIONS.of_services() {
            self.live.agreement.presence.listen(since);
        }
    }

    fn take_heartbeat(&mut self, master: &Address, heartbeat: &Heartbeat) {
        let Heartbeat { sender, format, .. } = *heartbeat;
        if !self.channels.is_first(master) && !heartbeat.has_last {
            self.empty(master);
        }
        if self.is_served_by(PARTITIONS.of_services(), master) {
            let presence = &mut self.live.agreement.presence;
            presence.hear(sender, format, Instant::now());
        }
        if sender == self.live.client.node {
            self.prove(master, heartbeat);
        }
    }

    /// A master has lost what it had, as by FLUSHALL: copies of it are worth nothing, and its streams begin anew.
    fn empty(&mut self, master: &Address) {
        tracing::warn!(%master, "Redis has lost what it had; copies of it are dropped");
        for stream in self.served_by(master) {
            self.live.tail.rewind(stream);
            self.live.tail.lose(stream);
            self.live.tail.fall_behind(stream);
        }
        self.live.agreement.forget();
    }

    fn prove(&mut self, master: &Address, heartbeat: &Heartbeat) {
        let Some(sent) = self.channels.heard(master, heartbeat) else {
            return;
        };
        for (at, stream) in sent.streams.iter().enumerate() {
            // A master that was asked for nothing serves all.
            let served = heartbeat.served.get(at).is_none_or(|served| *served);
            if served && self.is_served_by(*stream, master) {
                self.live.tail.prove(*stream, sent.at);
                if *stream == PARTITIONS.of_services() {
                    self.agree(sent.at);
                }
            }
        }
    }

    fn look_at(&mut self, topology: &Topology) {
        for stream in PARTITIONS.all() {
            let Some(now) = topology.master_of(streams::slot(stream)) else {
                continue;
            };
            let Some(served) = self.streams.get_mut(stream.0) else {
                continue;
            };
            let moved = served.master.as_ref() != Some(&now.address);
            let other = now
                .replication_id
                .as_ref()
                .filter(|id| served.history.as_ref() != Some(*id));
            let replaced = other.is_some() && served.history.is_some();
            served.history = other.or(served.history.as_ref()).cloned();
            if !moved && !replaced {
                continue;
            }
            served.master = Some(now.address.clone());
            if replaced {
                self.live.tail.rewind(stream);
                self.live.agreement.forget();
            }
            self.live.tail.lose(stream);
            let is_heard = self.channels.is_heard(&now.address);
            if is_heard {
                self.live.tail.fall_behind(stream);
            }
            self.listen(stream, is_heard.then(Instant::now));
        }
    }
}
