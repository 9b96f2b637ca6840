//! The entries of all partitions in one order: by their moments, and those of one moment by their partitions.

use std::collections::{BTreeMap, VecDeque};

use super::recorded::Recorded;
use crate::model::Timestamp;
use crate::model::event::{Event, EventType, Fact};
use crate::model::page::{PageLimit, PageRoom};
use crate::store::position::{History, Mark, Position, SKEW};
use crate::store::{FeedPage, FeedPosition, Partition, Partitions};

/// A partition as far as it was read.
#[derive(Debug)]
pub(in crate::store) struct PartitionPage {
    pub(in crate::store) partition: Partition,
    /// Nothing at or before it is of interest.
    pub(in crate::store) position: Position,
    /// The last event that stands there or before.
    pub(in crate::store) last: Option<Position>,
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
    pub(in crate::store) fn end(&self) -> Position {
        self.entries
            .last()
            .map_or(self.position, |(position, _)| *position)
    }

    pub(in crate::store) fn forget_what_is_over(&mut self) {
        if let Some(over) = self.over {
            self.pass(over);
            self.entries.retain(|(position, _)| *position > over);
        }
    }

    fn pass(&mut self, event: Position) {
        if event > self.position {
            (self.position, self.last) = (event, Some(event));
        }
    }

    /// As far as it is told when this is the first that is left in it.
    fn mark(&self, history: Option<History>, unread: Option<Position>) -> Mark {
        let until = match unread {
            Some(unread) => unread.millis.saturating_sub(1),
            // The next may have the moment of the last.
            None if self.open => self.position.millis.saturating_sub(1),
            None => FeedPosition::settled(self.now.sort_key()),
        };
        Mark {
            position: self.position,
            last: self.last.unwrap_or_default(),
            until,
            history,
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
    open.map(|source| (source.end(), source.partition)).min()
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
    partitions: Partitions,
    mut sources: Vec<PartitionPage>,
    histories: &[Option<History>],
    types: &[EventType],
    limit: PageLimit,
) -> FeedPage {
    settle(&mut sources, |source| source.entries.is_empty());
    let first = |source: &PartitionPage| Some((source.partition, source.entries.first()?.0));
    let unread = sources.iter().filter_map(first).collect();
    let start = position_of(partitions, &sources, histories, &unread);
    let horizon = horizon(&sources);
    let mut left = in_order(&mut sources).into_iter().peekable();
    let (mut events, mut passed) = (Vec::new(), VecDeque::new());
    let mut room = PageRoom::new(limit);
    while !room.is_over()
        && let Some(((position, partition), told)) = left.next_if(|(key, told)| {
            within(horizon, *key) && has_room(&mut room, told.as_ref(), types)
        })
    {
        if let Some(source) = sources.get_mut(partition.0) {
            source.pass(position);
        }
        passed.push_back((partition, position));
        if let Some(fact) = told.map(|told| told.fact)
            && is_wanted(&fact, types)
            && let Ok(id) = partitions.event_id(partition, position)
        {
            events.push(Event { id, fact });
        }
    }
    let caught_up = left.peek().is_none() && horizon.is_none();
    let mut unread = BTreeMap::new();
    for ((position, partition), _) in left {
        unread.entry(partition).or_insert(position);
    }
    settle(&mut sources, |source| {
        !unread.contains_key(&source.partition)
    });
    FeedPage {
        events,
        start,
        next: position_of(partitions, &sources, histories, &unread),
        caught_up,
        passed,
    }
}

/// Whether an event goes into the page, if it is one that is wanted.
fn has_room(room: &mut PageRoom, told: Option<&Recorded>, types: &[EventType]) -> bool {
    match told.filter(|told| is_wanted(&told.fact, types)) {
        Some(Recorded { fact, .. }) => room.take(&(fact.change.event_type(), fact)),
        None => true,
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
/// behind: an event that is still to come there must not lie before the position, which is that of the last event if that
/// is later.
fn settle(sources: &mut [PartitionPage], quiet: impl Fn(&PartitionPage) -> bool) {
    for source in sources.iter_mut().filter(|source| !source.open) {
        if quiet(source) {
            let last = source.last.unwrap_or_default();
            source.position = last.max(Position::at(source.now).rewound(SKEW));
        }
    }
}

/// Where all partitions are told up to, with the first of each that is left.
fn position_of(
    partitions: Partitions,
    sources: &[PartitionPage],
    histories: &[Option<History>],
    unread: &BTreeMap<Partition, Position>,
) -> FeedPosition {
    let marks = sources
        .iter()
        .zip(histories)
        .map(|(source, history)| source.mark(*history, unread.get(&source.partition).copied()));
    FeedPosition::new(partitions, marks.collect())
}
