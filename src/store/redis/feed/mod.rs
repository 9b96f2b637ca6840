//! The feed: the streams of all shards, merged by time. A page reads a few entries of each, then more of those that
//! have more; its cursor is an exact position in every stream. A stream of which this node has heard that nothing follows
//! need not be read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::call::call;
use super::client::Client;
use super::connections::Effect;
use super::reply::Reply;
use super::streams::{self, PARTITIONS};
use super::{RedisStore, events};
use crate::model::Timestamp;
use crate::model::event::{EventType, FeedStart};
use crate::model::page::PageLimit;
use crate::store::node::tail::{PartitionPage, Recorded, Watermarks, page};
use crate::store::position::{History, Position};
use crate::store::{EventFeed, FeedPage, Listener, OpError, Partition, Partitions, StoreError};

mod origin;
mod reading;

use origin::Origin;
use reading::Reading;

#[derive(Debug)]
pub(super) struct Feed {
    client: Arc<Client>,
    watermarks: Arc<Watermarks>,
    event_retention: Duration,
}

/// Entries of a stream, and how far it reaches.
struct Stretch {
    now: Timestamp,
    over: Option<Position>,
    newest: Option<Position>,
    /// What stands last at or before the position.
    last: Option<Position>,
    entries: Vec<(Position, Option<Recorded>)>,
}

call! {
    struct ReadStream: "feed.lua", "no-writes", [SHARD] {
        position: Option<String>,
        most: usize,
    }
    "event", replicated: false, effect: Effect::Repeatable;
    (self, reply) -> Stretch {
        "done" => Stretch {
            now: reply.moment()?,
            over: reply.text()?.parse().ok(),
            newest: reply.text()?.parse().ok(),
            last: reply.text()?.parse().ok(),
            entries: entries(reply.list()?)?,
        },
    }
}

#[async_trait]
impl EventFeed for RedisStore {
    async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        heard: Option<Instant>,
    ) -> Result<FeedPage, OpError> {
        let origin = Origin::of(from)?;
        // Known before anything is read: a later history must not be taken for that of the positions.
        let histories = self.feed.histories();
        let reading = Reading {
            feed: &self.feed,
            origin,
            histories: &histories,
            heard,
        };
        let sources = reading.sources(types, limit).await?;
        Ok(page(PARTITIONS, sources, &histories, types, limit))
    }

    fn partitions(&self) -> Partitions {
        PARTITIONS
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.listeners.add(listener);
    }

    fn watermark(&self, partition: Partition) -> Option<Instant> {
        self.feed.watermarks.until(partition)
    }
}

impl Feed {
    pub(super) fn new(
        client: Arc<Client>,
        watermarks: Arc<Watermarks>,
        event_retention: Duration,
    ) -> Self {
        Self {
            client,
            watermarks,
            event_retention,
        }
    }

    /// Whose history each stream is at present, as far as this node knows.
    fn histories(&self) -> Vec<Option<History>> {
        let masters = self.client.connections.masters();
        let mut known: Vec<(&str, History)> = Vec::new();
        let history = |stream| {
            let master = masters.master_of(streams::slot(stream))?;
            let id = master.replication_id.as_deref()?;
            let found = known.iter().find(|(known, _)| *known == id);
            if let Some((_, history)) = found {
                return Some(*history);
            }
            let history = History::of(id);
            known.push((id, history));
            Some(history)
        };
        PARTITIONS.all().map(history).collect()
    }

    /// What stands last in a stream, and up to when that was heard; nothing if that was before a moment, or before this
    /// node itself wrote there.
    fn heard(&self, stream: Partition, since: Instant) -> Option<(Position, Instant)> {
        let until = self.watermarks.until(stream)?;
        let written = self.client.written_at(stream);
        let is_fresh = until >= since && written.is_none_or(|written| written <= until);
        is_fresh.then(|| (self.watermarks.last(stream), until))
    }

    /// The end of a stream of which it was heard that nothing follows there.
    fn quiet(
        &self,
        stream: Partition,
        position: Position,
        since: Instant,
    ) -> Option<PartitionPage> {
        let (last, until) = self.heard(stream, since)?;
        if last > position {
            return None;
        }
        let clock = self.client.clock(streams::slot(stream));
        let last = Some(last).filter(|last| *last != Position::default());
        Some(PartitionPage {
            partition: stream,
            position,
            last,
            entries: Vec::new(),
            open: false,
            now: clock.now.minus(clock.error).minus(until.elapsed()),
            over: None,
            newest: last,
        })
    }

    /// Reads entries after a position, or from the oldest that is kept.
    pub(super) async fn read(
        &self,
        stream: Partition,
        position: Position,
        most: usize,
    ) -> Result<PartitionPage, StoreError> {
        let read = ReadStream {
            position: (position != Position::default()).then(|| position.to_string()),
            most,
        };
        let stretch = self.client.call(streams::slot(stream), &read).await?;
        Ok(PartitionPage {
            partition: stream,
            position,
            last: stretch.last,
            open: stretch.entries.len() == most,
            entries: stretch.entries,
            now: stretch.now,
            over: stretch.over,
            newest: stretch.newest,
        })
    }
}

fn entries(mut list: Reply) -> Result<Vec<(Position, Option<Recorded>)>, StoreError> {
    let mut entries = Vec::new();
    while !list.is_empty() {
        let mut entry = list.list()?;
        let position = entry.text()?.parse().unwrap_or_default();
        entries.push((position, events::decode(entry.fields()?)));
    }
    Ok(entries)
}
