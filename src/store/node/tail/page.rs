//! The entries of all partitions in one order: by their moments, and those of one moment by their partitions.

use std::time::Duration;

use super::recorded::Recorded;
use crate::model::Timestamp;
use crate::model::event::{Event, EventPage, EventType, Fact};
use crate::model::page::{Cursor, PageLimit};
use crate::store::position::{Checkpoint, History, Position};
use crate::store::{FeedPosition, Partition, Partitions};

/// A feed whose partitions are told the time by different servers.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Clocked {
    pub(in crate::store) partitions: Partitions,
    /// How far apart their clocks may be. Before the present by this much a quiet partition gets no more events.
    pub(in crate::store) skew: Duration,
}

/// A partition as far as it was read.
#[derive(Debug)]
pub(in crate::store) struct PartitionPage {
    pub(in crate::store) partition: Partition,
    /// Nothing at or before it is of interest.
    pub(in crate::store) position: Position,
    /// What is none of ours has a position too.
    pub(in crate::store) entries: Vec<(Position, Option<Recorded>)>,
    /// Whether more may follow the entries.
    pub(in crate::store) open: bool,
    pub(in crate::store) now: Timestamp,
    /// The newest event that is no longer told of.
    pub(in crate::store) over: Option<Position>,
    pub(in crate::store) newest: Option<Position>,
}

impl PartitionPage {
    pub(in crate::store) fn last(&self) -> Position {
        self.entries
            .last()
            .map_or(self.position, |(position, _)| *position)
    }

    pub(in crate::store) fn forget_what_is_over(&mut self) {
        if let Some(over) = self.over {
            self.position = self.position.max(over);
            self.entries.retain(|(position, _)| *position > over);
        }
    }
}

fn is_wanted(fact: &Fact, types: &[EventType]) -> bool {
    types.is_empty() || types.contains(&fact.change.event_type())
}

/// Up to where all partitions are read: what comes later waits for the next page.
///
/// Behind the last entry of a partition that has more, the next may be older than what was read of others: beyond the
/// earliest such end nobody knows the order.
fn horizon(sources: &[PartitionPage]) -> Option<(Position, Partition)> {
    let open = sources.iter().filter(|source| source.open);
    open.map(|source| (source.last(), source.partition)).min()
}

fn within(horizon: Option<(Position, Partition)>, key: (Position, Partition)) -> bool {
    horizon.is_none_or(|horizon| key <= horizon)
}

pub(in crate::store) fn wanted(sources: &[PartitionPage], types: &[EventType]) -> usize {
    let horizon = horizon(sources);
    let entries = sources.iter().flat_map(|source| {
        source
            .entries
            .iter()
            .map(move |(position, told)| ((*position, source.partition), told))
    });
    entries
        .filter(|(key, _)| within(horizon, *key))
        .filter(|(_, told)| {
            told.as_ref()
                .is_some_and(|told| is_wanted(&told.fact, types))
        })
        .count()
}

pub(in crate::store) fn page(
    feed: Clocked,
    mut sources: Vec<PartitionPage>,
    histories: &[Option<History>],
    types: &[EventType],
    limit: PageLimit,
) -> EventPage {
    settle(&mut sources, feed.skew, |source| source.entries.is_empty());
    let start = position_of(feed.partitions, &sources, histories);
    let horizon = horizon(&sources);
    let mut left = in_order(&mut sources).into_iter().peekable();
    let mut events = Vec::new();
    while events.len() < limit.get()
        && let Some(((position, partition), told)) = left.next_if(|(key, _)| within(horizon, *key))
    {
        if let Some(source) = sources.get_mut(partition.0) {
            source.position = position;
        }
        if let Some(fact) = told.map(|told| told.fact)
            && is_wanted(&fact, types)
            && let Ok(id) = feed.partitions.event_id(partition, position)
        {
            events.push(Event { id, fact });
        }
    }
    let caught_up = left.peek().is_none() && horizon.is_none();
    let unread: Vec<Partition> = left.map(|((_, partition), _)| partition).collect();
    settle(&mut sources, feed.skew, |source| {
        !unread.contains(&source.partition)
    });
    EventPage {
        events,
        start,
        next: position_of(feed.partitions, &sources, histories),
        caught_up,
    }
}

/// Takes the entries of all partitions out of them.
fn in_order(sources: &mut [PartitionPage]) -> Vec<((Position, Partition), Option<Recorded>)> {
    let mut all = Vec::new();
    for source in sources {
        let entries = std::mem::take(&mut source.entries).into_iter();
        all.extend(entries.map(|(position, told)| ((position, source.partition), told)));
    }
    all.sort_by_key(|(key, _)| *key);
    all
}

/// Moves on to the present in partitions that were read to their end, but for as long as another server's clock may be
/// behind: an event that is still to come there must not lie before the position.
fn settle(sources: &mut [PartitionPage], skew: Duration, quiet: impl Fn(&PartitionPage) -> bool) {
    for source in sources.iter_mut().filter(|source| !source.open) {
        if quiet(source) {
            source.position = source.position.max(Position::at(source.now).rewound(skew));
        }
    }
}

fn position_of(
    partitions: Partitions,
    sources: &[PartitionPage],
    histories: &[Option<History>],
) -> Cursor {
    let marks = sources.iter().zip(histories).map(|(source, history)| {
        let position = source.position;
        Checkpoint {
            position,
            history: *history,
        }
    });
    FeedPosition::new(partitions, marks.collect()).cursor()
}
