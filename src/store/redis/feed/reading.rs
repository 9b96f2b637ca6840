//! One reading of all streams, for one page.

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::super::ABREAST;
use super::super::streams::{PARTITIONS, STREAMS};
use super::{Feed, Origin};
use crate::model::event::EventType;
use crate::model::page::{PageLimit, RECORDS_PER_PAGE};
use crate::store::node::tail::{PartitionPage, wanted};
use crate::store::position::{History, Position, SKEW};
use crate::store::{OpError, Partition, StoreError};

/// Entries of each stream that are read at first.
const EACH: usize = RECORDS_PER_PAGE / STREAMS;

/// From where, of whose history, and what need not be read.
pub(super) struct Reading<'a> {
    pub(super) feed: &'a Feed,
    pub(super) origin: Origin,
    pub(super) histories: &'a [Option<History>],
    pub(super) heard: Option<Instant>,
}

impl Reading<'_> {
    /// As many entries as a page needs and may look at.
    pub(super) async fn sources(
        &self,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<Vec<PartitionPage>, OpError> {
        let mut sources = self.first().await?;
        self.read_what_was_added(&mut sources).await?;
        for (source, history) in sources.iter_mut().zip(self.histories) {
            self.origin
                .check(source, *history, self.feed.event_retention)?;
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
                    .feed
                    .read(source.partition, source.end(), room / open)
                    .await?;
                source.entries.extend(more.entries);
                source.open = more.open;
            }
        }
    }

    /// The first entries of each stream.
    async fn first(&self) -> Result<Vec<PartitionPage>, StoreError> {
        let histories = PARTITIONS.all().zip(self.histories.iter().copied());
        let reads = histories
            .map(|(stream, history)| (stream, self.origin.read_from(stream, history)))
            .map(|(stream, position)| self.read(stream, position));
        stream::iter(reads).buffered(ABREAST).try_collect().await
    }

    async fn read(
        &self,
        stream: Partition,
        position: Position,
    ) -> Result<PartitionPage, StoreError> {
        let quiet = self
            .heard
            .and_then(|since| self.feed.quiet(stream, position, since));
        match quiet {
            Some(quiet) => Ok(quiet),
            None => self.feed.read(stream, position, EACH).await,
        }
    }

    /// Streams to which something was added before the place are read from before that.
    async fn read_what_was_added(&self, sources: &mut [PartitionPage]) -> Result<(), StoreError> {
        let lasts = sources.iter().map(|source| source.last.unwrap_or_default());
        let lasts: Vec<Position> = lasts.collect();
        let overtaken = self.origin.overtaken(self.histories, &lasts);
        let positions = overtaken.into_iter().filter_map(|stream| {
            let source = sources.get(stream.0)?;
            Some((stream, source.position.rewound(SKEW)))
        });
        let reads = positions.map(|(stream, position)| self.feed.read(stream, position, EACH));
        let again: Vec<PartitionPage> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(ABREAST)
            .try_collect()
            .await?;
        for page in again {
            if let Some(source) = sources.get_mut(page.partition.0) {
                *source = page;
            }
        }
        Ok(())
    }
}
