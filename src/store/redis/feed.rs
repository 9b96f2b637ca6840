//! The feed: the streams of all shards, merged by time. A page reads a few entries of each, then more of those that
//! have more; its cursor is an exact position in every stream.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::call::call;
use super::client::Client;
use super::connections::Effect;
use super::reply::Reply;
use super::streams::{self, FEED, PARTITIONS, SKEW, STREAMS};
use super::{ABREAST, RedisStore, events};
use crate::model::Timestamp;
use crate::model::event::{EventPage, EventType, FeedStart};
use crate::model::page::{PageLimit, RECORDS_PER_PAGE};
use crate::rules::refusal::Refusal;
use crate::store::node::tail::{PartitionPage, Recorded, page, wanted};
use crate::store::position::{Checkpoint, History, Position};
use crate::store::{EventFeed, FeedPosition, Listener, OpError, Partition, Partitions, StoreError};

/// From an event on, other streams are read from this much before it.
const MARGIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Feed {
    client: Arc<Client>,
    event_retention: Duration,
}

/// Entries of a stream, and how far it reaches.
struct Stretch {
    now: Timestamp,
    over: Option<Position>,
    newest: Option<Position>,
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
            entries: entries(reply.list()?)?,
        },
    }
}

enum ReadFrom {
    Oldest,
    After(Partition, Position),
    At(Vec<Checkpoint>),
}

#[async_trait]
impl EventFeed for RedisStore {
    async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError> {
        let origin = match from {
            FeedStart::Start => ReadFrom::Oldest,
            FeedStart::AfterEvent(id) => {
                let (stream, position) = PARTITIONS.locate(id).ok_or(Refusal::CursorInvalid)?;
                ReadFrom::After(stream, position)
            }
            FeedStart::At(cursor) => {
                let position = FeedPosition::of(PARTITIONS, cursor);
                ReadFrom::At(position.ok_or(Refusal::CursorInvalid)?.into_marks())
            }
        };
        // Known before anything is read: a later history must not be taken for that of the positions.
        let histories = self.feed.histories();
        let sources = self
            .feed
            .open_feed(&origin, &histories, types, limit)
            .await?;
        Ok(page(FEED, sources, &histories, types, limit))
    }

    fn partitions(&self) -> Partitions {
        PARTITIONS
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.listeners.add(listener);
    }

    fn watermark(&self, partition: Partition) -> Option<Instant> {
        self.watermarks.until(partition)
    }
}

impl ReadFrom {
    /// Where to read a stream from. In another history than that of the position, events may stand before it that were
    /// never told.
    fn position(&self, stream: Partition, history: Option<History>) -> Position {
        match self {
            Self::Oldest => Position::default(),
            Self::After(own, position) if *own == stream => *position,
            Self::After(_, position) => position.rewound(MARGIN),
            Self::At(marks) => {
                let mark = marks.get(stream.0).copied().unwrap_or_default();
                if mark.history.is_some() && mark.history == history {
                    mark.position
                } else {
                    mark.position.rewound(SKEW)
                }
            }
        }
    }

    /// Whether the page may begin here, as far as one stream can tell.
    fn check(&self, source: &PartitionPage, kept: Duration) -> Result<(), Refusal> {
        let gone = |position: Position| source.over.is_some_and(|over| position < over);
        let expired = match self {
            Self::Oldest => false,
            Self::After(own, position) if *own == source.partition => {
                let kept_since = source.now.minus(kept).sort_key();
                let known = source.newest.is_some_and(|newest| *position <= newest);
                if !known && position.millis > kept_since {
                    return Err(Refusal::CursorInvalid);
                }
                !known || gone(*position)
            }
            Self::After(own, position) => source
                .over
                .is_some_and(|over| (over, source.partition) > (*position, *own)),
            // A stream is dropped when it was quiet for twice as long as events are kept.
            Self::At(marks) => {
                let position = marks.get(source.partition.0).map(|mark| mark.position);
                let position = position.unwrap_or_default();
                let dropped = source.now.minus(2 * kept).sort_key();
                gone(position) || source.newest.is_none() && position.millis < dropped
            }
        };
        if expired {
            Err(Refusal::CursorExpired)
        } else {
            Ok(())
        }
    }
}

impl Feed {
    pub(super) fn new(client: Arc<Client>, event_retention: Duration) -> Self {
        Self {
            client,
            event_retention,
        }
    }

    /// Whose history each stream is at present, as far as this node knows.
    fn histories(&self) -> Vec<Option<History>> {
        let masters = self.client.connections.masters();
        let history = |stream| {
            let master = masters.master_of(streams::slot(stream))?;
            Some(History::of(master.replication_id.as_ref()?))
        };
        PARTITIONS.all().map(history).collect()
    }

    /// Reads as many entries as a page needs and may look at.
    async fn open_feed(
        &self,
        origin: &ReadFrom,
        histories: &[Option<History>],
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<Vec<PartitionPage>, OpError> {
        let each = RECORDS_PER_PAGE / STREAMS;
        let histories = PARTITIONS.all().zip(histories.iter().copied());
        let reads = histories
            .map(|(stream, history)| (stream, origin.position(stream, history)))
            .map(|(stream, position)| self.read(stream, position, each));
        let sources: Vec<PartitionPage> =
            stream::iter(reads).buffered(ABREAST).try_collect().await?;
        let mut sources = sources;
        for source in &mut sources {
            origin.check(source, self.event_retention)?;
            source.forget_what_is_over();
        }
        loop {
            let looked_at: usize = sources.iter().map(|source| source.entries.len()).sum();
            let room = RECORDS_PER_PAGE.saturating_sub(looked_at);
            let open = sources.iter().filter(|source| source.open).count();
            if open == 0 || room < open || wanted(&sources, types) >= limit.get() {
                return Ok(sources);
            }
            for source in sources.iter_mut().filter(|source| source.open) {
                let more = self
                    .read(source.partition, source.last(), room / open)
                    .await?;
                source.entries.extend(more.entries);
                source.open = more.open;
            }
        }
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
