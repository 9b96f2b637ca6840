//! What runs beside the listening: reads of what was missed, heartbeats, and reads of services that were written.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::super::args::Args;
use super::super::link::Address;
use super::super::log::WrittenService;
use super::super::merge::Source;
use super::super::places::{self, Place, SKEW};
use super::super::scripts;
use super::Follower;
use super::followed::{After, Read};
use crate::store::StoreError;

/// The newest format of what is stored that this version reads.
const FORMAT: u8 = 1;
/// How long the trace of a heartbeat stays.
const BEAT_KEPT: Duration = Duration::from_secs(10);
/// Entries that one read takes.
const READ: usize = 500;
/// Streams that are read at a time, so that requests find their turn between the reads.
const READS: usize = 16;
/// Where telling begins lies this much before the present, lest the clock be wrong.
const MARGIN: Duration = Duration::from_secs(1);
/// Before a read that failed is made again.
const RETRY: Duration = Duration::from_millis(100);

/// What runs beside the listening.
pub(super) enum Chore {
    Read {
        stream: usize,
        read: Read,
        source: Result<Source, StoreError>,
    },
    Beaten(Address),
    Remembered,
}

impl Follower {
    /// A service was written; what was written is read until it is known.
    pub(super) fn remember(&self, written: WrittenService) {
        let services = Arc::clone(&self.tail.services);
        self.chores.push(Box::pin(async move {
            while services.remember_service(&written).await.is_err() {
                sleep(RETRY).await;
            }
            Chore::Remembered
        }));
    }

    /// Begins the reads that wait for their turn.
    pub(super) fn read_on(&mut self) {
        while self.reading < READS
            && let Some(stream) = self.behind.pop_front()
        {
            let Some(part) = self.parts.get_mut(stream) else {
                continue;
            };
            part.queued = false;
            let heard = part
                .master
                .as_ref()
                .is_some_and(|master| self.channels.is_heard(master));
            if !heard || part.followed.is_whole() {
                continue;
            }
            let clock = self.tail.client.clock(places::slot(stream));
            if part.followed.is_new() && clock.error < MARGIN {
                // What this node did before its channel was heard is read, too.
                let opened = Place::at(clock.now).rewound(self.opened.elapsed() + MARGIN);
                part.followed.begin(opened);
                // What happened before was never heard.
                self.tail.listeners.gap(places::part(stream));
            }
            let read = part.followed.read();
            let feed = Arc::clone(&self.tail.feed);
            self.reading += 1;
            self.chores.push(Box::pin(async move {
                let most = if read.after.is_some() { READ } else { 0 };
                let source = feed
                    .read(stream, read.after.unwrap_or_default(), most)
                    .await;
                if source.is_err() {
                    sleep(RETRY).await;
                }
                Chore::Read {
                    stream,
                    read,
                    source,
                }
            }));
        }
    }

    pub(super) fn done(&mut self, chore: Chore) {
        match chore {
            Chore::Read {
                stream,
                read,
                source,
            } => {
                self.reading -= 1;
                self.caught_up(stream, read, source);
            }
            Chore::Beaten(master) => self.channels.beaten(&master),
            Chore::Remembered => {}
        }
    }

    fn caught_up(&mut self, stream: usize, read: Read, source: Result<Source, StoreError>) {
        let Some(part) = self.parts.get_mut(stream) else {
            return;
        };
        let Ok(source) = source else {
            if part.followed.wants(read) {
                self.fall_behind(stream);
            }
            return;
        };
        let (told, after) = part.followed.catch_up(read, source, SKEW);
        if read.after.is_none() && after != After::Nothing {
            // What happened before was never heard.
            self.tail.listeners.gap(places::part(stream));
        }
        self.tell(stream, told);
        if after == After::ReadOn {
            self.fall_behind(stream);
        }
    }

    /// Sends a heartbeat to every master that is heard.
    pub(super) fn beat(&mut self) {
        for master in self.channels.ready() {
            let streams: Arc<[usize]> = self.served_by(&master).into();
            let Some(first) = streams.first() else {
                continue;
            };
            let keys = vec![self.tail.client.keys.beat(places::slot(*first))];
            let number = self.channels.beat(&master, Arc::clone(&streams));
            let args = self.beat_args(number, &streams);
            let client = Arc::clone(&self.tail.client);
            self.chores.push(Box::pin(async move {
                let taken = client
                    .link
                    .script_at(&master, &scripts::BEAT, &keys, &args.0);
                // It counts when it is heard; the answer tells nothing.
                drop(taken.await);
                Chore::Beaten(master)
            }));
        }
    }

    fn beat_args(&self, number: u64, streams: &[usize]) -> Args {
        let args = Args::new()
            .text(self.tail.client.keys.channel())
            .millis(BEAT_KEPT)
            .show(self.tail.client.node)
            .show(number)
            .show(FORMAT);
        if !self.tail.is_cluster {
            return args;
        }
        let keys = streams
            .iter()
            .map(|stream| self.tail.client.keys.events(places::slot(*stream)));
        args.all(keys)
    }
}
