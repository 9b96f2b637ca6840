//! Events as they happen: one task listens at every master, tells the listeners, and knows until when it has heard all.
//!
//! Scripts publish each event in the same step that appends it. What a channel loses is read from the streams. Every
//! 250 ms a heartbeat is written and published at each master; hearing one's own proves that master's channel up to the
//! moment it was sent, for the parts that the master served when it took it. A master that cannot write, is frozen, or
//! whose channel is dead proves nothing, and requests do not notice any of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::events::Recorded;
use super::feed::Feed;
use super::link::{Address, Signal, Topology};
use super::log::{Deed, Remembered};
use super::places::{self, Place, SKEW, STREAMS};
use super::services::Services;
use crate::model::Timestamp;
use crate::model::event::Event;
use crate::store::{self, Listeners, Origin, TokenRotation};

mod channels;
mod chores;
mod followed;
mod heard;
mod message;

use channels::Channels;
use chores::Chore;
use followed::{Followed, Told};
pub(super) use heard::Heard;
use message::{Beat, Entry, Message};

/// Between two heartbeats.
const BEAT: Duration = Duration::from_millis(250);
/// A stream, who serves it, and whose history that is.
#[derive(Debug, Default)]
struct Part {
    master: Option<Address>,
    history: Option<Arc<str>>,
    followed: Followed,
    /// The last event of this node that was told. After a failover to a server whose clock is behind, what the node
    /// does is not counted until that has caught up.
    furthest: Place,
    queued: bool,
}

/// What it takes to follow the feed.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) client: Arc<Client>,
    pub(super) feed: Arc<Feed>,
    pub(super) heard: Arc<Heard>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) log: Arc<Remembered>,
    pub(super) services: Arc<Services>,
    pub(super) is_cluster: bool,
}

struct Follower {
    tail: Tail,
    opened: Instant,
    channels: Channels,
    parts: Vec<Part>,
    /// Streams of which something was missed, each once.
    behind: VecDeque<usize>,
    reading: usize,
    chores: FuturesUnordered<BoxFuture<'static, Chore>>,
}

/// Follows the feed until the store is closed.
pub(super) async fn follow_until(tail: Tail, closed: CancellationToken) {
    let mut signals = tail.client.link.subscribe(tail.client.keys.channel());
    let mut topology = tail.client.link.topology();
    let mut follower = Follower::new(tail);
    topology.mark_changed();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            Some(signal) = signals.recv() => follower.hear(signal),
            Ok(()) = topology.changed() => {
                let masters = topology.borrow_and_update().clone();
                follower.look_at(&masters);
            }
            _ = beats.tick() => follower.beat(),
            Some(chore) = follower.chores.next() => follower.done(chore),
        }
        follower.read_on();
    }
}

impl Follower {
    fn new(tail: Tail) -> Self {
        Self {
            tail,
            opened: Instant::now(),
            channels: Channels::default(),
            parts: (0..STREAMS).map(|_| Part::default()).collect(),
            behind: VecDeque::new(),
            reading: 0,
            chores: FuturesUnordered::new(),
        }
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Listening { master } => {
                for stream in self.served_by(&master) {
                    self.fall_behind(stream);
                }
                self.channels.opened(master);
            }
            Signal::Lost { master } => {
                for stream in self.served_by(&master) {
                    self.lose(stream);
                }
                self.channels.lost(&master);
            }
            Signal::Message { master, payload } => match message::decode(&payload) {
                Some(Message::Event { stream, entry }) => self.take(&master, stream, entry),
                Some(Message::Turn(rotation, at)) => self.keep(&master, rotation, at),
                Some(Message::Beat(beat)) => self.prove(&master, &beat),
                None => {}
            },
        }
    }

    fn served_by(&self, master: &Address) -> Vec<usize> {
        let parts = self.parts.iter().enumerate();
        let own = parts.filter(|(_, part)| part.master.as_ref() == Some(master));
        own.map(|(stream, _)| stream).collect()
    }

    /// Nothing is sure of this stream any more.
    fn lose(&mut self, stream: usize) {
        if let Some(part) = self.parts.get_mut(stream) {
            part.followed.deafen();
        }
        self.tail.heard.forget(stream);
        self.tail.listeners.gap(places::part(stream));
    }

    /// What was missed is read when it is the stream's turn.
    fn fall_behind(&mut self, stream: usize) {
        if let Some(part) = self.parts.get_mut(stream)
            && !std::mem::replace(&mut part.queued, true)
        {
            self.behind.push_back(stream);
        }
    }

    /// On a cluster each master passes on what all others say; only what the own one says is complete.
    fn take(&mut self, master: &Address, stream: usize, entry: Entry) {
        let Some(part) = self.parts.get_mut(stream) else {
            return;
        };
        if part.master.as_ref() != Some(master) {
            return;
        }
        if let Ok(told) = part.followed.hear(entry) {
            self.tell(stream, told);
        } else {
            self.lose(stream);
            self.fall_behind(stream);
        }
    }

    /// What a node rotates, all can make again.
    fn keep(&self, master: &Address, rotation: TokenRotation, at: Timestamp) {
        let stream = places::stream_of(store::Part::of_session(rotation.session_id));
        let part = self.parts.get(stream);
        if part.is_some_and(|part| part.master.as_ref() == Some(master)) {
            self.tail.log.keep(Deed::Rotated(rotation, at));
        }
    }

    fn tell(&mut self, stream: usize, told: Told) {
        for (place, Recorded { fact, node, lived }) in told {
            if let Some(written) = self.tail.log.learn(&fact) {
                self.remember(written);
            }
            let own = node == Some(self.tail.client.node) && self.is_first(stream, place);
            if let Some(id) = places::event_id(stream, place) {
                let origin = Origin { own, lived };
                self.tail.listeners.event(&Event { id, fact }, origin);
            }
        }
    }

    /// Whether no event of this node was told yet that stands there or later.
    fn is_first(&mut self, stream: usize, place: Place) -> bool {
        let part = self.parts.get_mut(stream);
        part.is_some_and(|part| {
            let first = place > part.furthest;
            part.furthest = part.furthest.max(place);
            first
        })
    }

    fn prove(&mut self, master: &Address, beat: &Beat) {
        if beat.sender != self.tail.client.node {
            return;
        }
        let Some(sent) = self.channels.heard(master, beat) else {
            return;
        };
        for (at, stream) in sent.streams.iter().enumerate() {
            // A master that was asked for nothing serves all.
            let served = beat.served.get(at).is_none_or(|served| *served);
            let part = self.parts.get(*stream);
            let own = part.filter(|part| part.master.as_ref() == Some(master));
            if served && own.is_some_and(|part| part.followed.is_whole()) {
                self.tail.heard.prove(*stream, sent.at);
            }
        }
    }

    fn look_at(&mut self, topology: &Topology) {
        for stream in 0..STREAMS {
            let Some(now) = topology.master_of(places::slot(stream)) else {
                continue;
            };
            let Some(part) = self.parts.get_mut(stream) else {
                continue;
            };
            let moved = part.master.as_ref() != Some(&now.address);
            let other = now
                .replication_id
                .as_ref()
                .filter(|id| part.history.as_ref() != Some(*id));
            let replaced = other.is_some() && part.history.is_some();
            part.history = other.or(part.history.as_ref()).cloned();
            if !moved && !replaced {
                continue;
            }
            part.master = Some(now.address.clone());
            if replaced {
                part.followed.rewind(SKEW);
            }
            self.lose(stream);
            if self.channels.is_heard(&now.address) {
                self.fall_behind(stream);
            }
        }
    }
}
