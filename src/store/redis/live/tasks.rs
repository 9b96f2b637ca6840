//! What runs beside the listening: reads of what was missed, heartbeats, and reads of services that were written.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::call::{List, call};
use super::super::connections::Address;
use super::super::connections::Effect;
use super::super::streams;
use super::{Follower, WrittenService};
use crate::store::node::tail::{PartitionPage, Read};
use crate::store::{Partition, StoreError};

/// How long the trace of a heartbeat stays.
const BEAT_KEPT: Duration = Duration::from_secs(10);
/// Entries that one read takes.
const READ: usize = 500;
/// Streams that are read at a time, so that requests find their turn between the reads.
const READS: usize = 16;
/// Before a read that failed is made again.
const RETRY: Duration = Duration::from_millis(100);

call! {
    struct TakeBeat: "beat.lua", "allow-oom,allow-cross-slot-keys", [MESSAGE] {
        channel: String,
        kept: Duration,
        node: String,
        number: u64,
        format: u64,
        asked_for: List<Vec<u8>>,
    }
    "heartbeat", replicated: false, effect: Effect::Repeatable;
    (self, _reply) -> () { "done" => (), }
}

/// What runs beside the listening.
pub(super) enum Task {
    Read {
        stream: Partition,
        read: Read,
        page: Result<PartitionPage, StoreError>,
    },
    Beaten(Address),
    Remembered,
    /// A format is noted, if it is.
    Noted(Option<u64>),
}

impl Follower {
    /// Services were written; what was written is read until it is known.
    pub(super) fn remember(&self, written: Vec<WrittenService>) {
        for written in written {
            let services = Arc::clone(&self.live.services);
            self.tasks.push(Box::pin(async move {
                while services.remember_service(&written).await.is_err() {
                    sleep(RETRY).await;
                }
                Task::Remembered
            }));
        }
    }

    /// Begins the reads that wait for their turn.
    pub(super) fn read_on(&mut self) {
        while self.reading < READS
            && let Some(stream) = self.live.tail.next_behind()
        {
            let served = self.streams.get(stream.0);
            let master = served.and_then(|served| served.master.as_ref());
            if !master.is_some_and(|master| self.channels.is_heard(master)) {
                continue;
            }
            let clock = self.live.client.clock(streams::slot(stream));
            let Some(read) = self.live.tail.begin(stream, clock) else {
                continue;
            };
            let feed = Arc::clone(&self.live.feed);
            self.reading += 1;
            self.tasks.push(Box::pin(async move {
                let most = if read.after.is_some() { READ } else { 0 };
                let page = feed
                    .read(stream, read.after.unwrap_or_default(), most)
                    .await;
                if page.is_err() {
                    sleep(RETRY).await;
                }
                Task::Read { stream, read, page }
            }));
        }
    }

    pub(super) fn done(&mut self, task: Task) {
        match task {
            Task::Read { stream, read, page } => {
                self.reading -= 1;
                let written = self.live.tail.caught_up(stream, read, page);
                self.remember(written);
            }
            Task::Beaten(master) => self.channels.beaten(&master),
            Task::Remembered => {}
            Task::Noted(format) => self.live.agreement.noted(format),
        }
    }

    /// Sends a heartbeat to every master that is heard.
    pub(super) fn heartbeat(&mut self) {
        for master in self.channels.ready() {
            let streams: Arc<[Partition]> = self.served_by(&master).into();
            let Some(first) = streams.first() else {
                continue;
            };
            let key = self.live.client.keys.heartbeat(streams::slot(*first));
            let number = self.channels.heartbeat(&master, Arc::clone(&streams));
            let heartbeat = self.beat_of(number, &streams);
            let client = Arc::clone(&self.live.client);
            self.tasks.push(Box::pin(async move {
                let taken = client.call_at(&master, key, &heartbeat);
                // It counts when it is heard; the answer tells nothing.
                drop(taken.await);
                Task::Beaten(master)
            }));
        }
    }

    /// Goes on with the format, as all was heard up to a moment.
    pub(super) fn agree(&mut self, heard_until: Instant) {
        let client = Arc::clone(&self.live.client);
        if let Some(format) = self.live.agreement.advance(&client.formats, heard_until) {
            self.tasks.push(Box::pin(async move {
                Task::Noted(client.note_format(format).await)
            }));
        }
    }

    fn beat_of(&self, number: u64, streams: &[Partition]) -> TakeBeat {
        let keys = &self.live.client.keys;
        let events = |stream: &Partition| keys.events(streams::slot(*stream));
        TakeBeat {
            channel: keys.channel().to_owned(),
            kept: BEAT_KEPT,
            node: self.live.client.node.to_string(),
            number,
            format: self.live.client.formats.limit,
            asked_for: List(if self.live.is_cluster {
                streams.iter().map(events).collect()
            } else {
                Vec::new()
            }),
        }
    }
}
