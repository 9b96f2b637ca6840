//! The feed as it happens: what a subscription tells is passed on to the listeners in order, what it misses is read from
//! the feed, and each partition has a watermark up to which all was heard.
//!
//! An engine subscribes, reads, and proves; what follows from it is here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Listeners;
use super::clock::ServerClock;
use super::recovery::{RecoveryLog, WrittenService};
use crate::model::event::Event;
use crate::store::position::{Position, SKEW};
use crate::store::{Origin, Partition, Partitions, StoreError};

mod page;
mod partition;
mod recorded;
mod watermarks;

pub(in crate::store) use page::{PartitionPage, page, wanted};
use partition::{After, PartitionTail, Told};
pub(in crate::store) use partition::{Entry, Read};
pub(in crate::store) use recorded::{NodeId, Recorded};
pub(in crate::store) use watermarks::{Moments, Watermarks};

/// Where telling begins lies this much before the present, lest the clock be wrong.
const MARGIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Part {
    tail: PartitionTail,
    /// The last event of this node that was told. After a failover to a server whose clock is behind, what the node
    /// does is not counted until that has caught up.
    furthest: Position,
    queued: bool,
}

/// All partitions as far as they were heard.
#[derive(Debug)]
pub(in crate::store) struct Tail {
    partitions: Partitions,
    node: NodeId,
    opened: Instant,
    parts: Vec<Part>,
    /// Partitions of which something was missed, each once.
    behind: VecDeque<Partition>,
    watermarks: Arc<Watermarks>,
    listeners: Arc<Listeners>,
    log: Arc<RecoveryLog>,
}

impl Tail {
    /// Nothing is proven of any partition, also if another tail had heard of them before.
    pub(in crate::store) fn new(
        partitions: Partitions,
        node: NodeId,
        watermarks: &Arc<Watermarks>,
        listeners: &Arc<Listeners>,
        log: &Arc<RecoveryLog>,
    ) -> Self {
        for partition in partitions.all() {
            watermarks.forget(partition);
            listeners.gap(partition);
        }
        Self {
            partitions,
            node,
            opened: Instant::now(),
            parts: partitions.all().map(|_| Part::default()).collect(),
            behind: VecDeque::new(),
            watermarks: Arc::clone(watermarks),
            listeners: Arc::clone(listeners),
            log: Arc::clone(log),
        }
    }

    /// Nothing is sure of this partition any more.
    pub(in crate::store) fn lose(&mut self, partition: Partition) {
        if let Some(part) = self.parts.get_mut(partition.0) {
            part.tail.disconnect();
        }
        self.watermarks.forget(partition);
        self.listeners.gap(partition);
    }

    /// The partition has another history than before, in which other events may stand at earlier positions.
    pub(in crate::store) fn rewind(&mut self, partition: Partition) {
        if let Some(part) = self.parts.get_mut(partition.0) {
            part.tail.rewind(SKEW);
        }
    }

    /// What was missed is read when it is the partition's turn.
    pub(in crate::store) fn fall_behind(&mut self, partition: Partition) {
        if let Some(part) = self.parts.get_mut(partition.0)
            && !std::mem::replace(&mut part.queued, true)
        {
            self.behind.push_back(partition);
        }
    }

    /// The next partition of which something was missed.
    pub(in crate::store) fn next_behind(&mut self) -> Option<Partition> {
        loop {
            let partition = self.behind.pop_front()?;
            if let Some(part) = self.parts.get_mut(partition.0) {
                part.queued = false;
                if !part.tail.is_live() {
                    return Some(partition);
                }
            }
        }
    }

    /// Begins to catch up: the read that is to be made. What this node did before it was heard is read, too.
    pub(in crate::store) fn begin(
        &mut self,
        partition: Partition,
        clock: ServerClock,
    ) -> Option<Read> {
        let part = self.parts.get_mut(partition.0)?;
        if part.tail.is_new() && clock.error < MARGIN {
            let opened = Position::at(clock.now).rewound(self.opened.elapsed() + MARGIN);
            part.tail.begin(opened);
            // What happened before was never heard.
            self.listeners.gap(partition);
        }
        Some(part.tail.read())
    }

    /// Takes what was read. Answers the services that were written, which are to be read.
    pub(in crate::store) fn caught_up(
        &mut self,
        partition: Partition,
        read: Read,
        page: Result<PartitionPage, StoreError>,
    ) -> Vec<WrittenService> {
        let Some(part) = self.parts.get_mut(partition.0) else {
            return Vec::new();
        };
        let Ok(page) = page else {
            if part.tail.wants(read) {
                self.fall_behind(partition);
            }
            return Vec::new();
        };
        let (told, after) = part.tail.catch_up(read, page, SKEW);
        if read.after.is_none() && after != After::Nothing {
            // What happened before was never heard.
            self.listeners.gap(partition);
        }
        self.note_last(partition);
        let written = self.tell(partition, told);
        if after == After::ReadOn {
            self.fall_behind(partition);
        }
        written
    }

    /// Takes an event of the subscription. Answers the services that were written, which are to be read.
    pub(in crate::store) fn hear(
        &mut self,
        partition: Partition,
        entry: Entry,
    ) -> Vec<WrittenService> {
        let Some(part) = self.parts.get_mut(partition.0) else {
            return Vec::new();
        };
        if let Ok(told) = part.tail.hear(entry) {
            self.note_last(partition);
            return self.tell(partition, told);
        }
        self.lose(partition);
        self.fall_behind(partition);
        Vec::new()
    }

    /// All that was acknowledged in this partition before a moment was said to the subscription.
    pub(in crate::store) fn prove(&self, partition: Partition, moment: Instant) {
        let part = self.parts.get(partition.0);
        if part.is_some_and(|part| part.tail.is_live()) {
            self.watermarks.prove(partition, moment);
        }
    }

    /// Before it is told: who does not hear of it any more finds it noted.
    fn note_last(&self, partition: Partition) {
        let part = self.parts.get(partition.0);
        if let Some(last) = part.and_then(|part| part.tail.last()) {
            self.watermarks.note(partition, last);
        }
    }

    fn tell(&mut self, partition: Partition, told: Told) -> Vec<WrittenService> {
        let mut written = Vec::new();
        for (position, Recorded { fact, node, lived }) in told {
            written.extend(self.log.learn(&fact));
            let own = node == Some(self.node) && self.is_first(partition, position);
            if let Ok(id) = self.partitions.event_id(partition, position) {
                let origin = Origin { own, lived };
                self.listeners.event(&Event { id, fact }, origin);
            }
        }
        written
    }

    /// Whether no event of this node was told yet that stands there or later.
    fn is_first(&mut self, partition: Partition, position: Position) -> bool {
        let part = self.parts.get_mut(partition.0);
        part.is_some_and(|part| {
            let first = position > part.furthest;
            part.furthest = part.furthest.max(position);
            first
        })
    }
}
