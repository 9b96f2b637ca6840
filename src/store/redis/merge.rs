//! The entries of all streams in one order: by their moments, and those of one moment by their streams.

use super::events::Recorded;
use super::places::{self, Bookmark, History, Place, SKEW};
use crate::model::Timestamp;
use crate::model::event::{Event, EventType, Fact};
use crate::model::page::{Cursor, PageLimit};
use crate::store::EventPage;

/// A stream as far as it was read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) stream: usize,
    /// Nothing at or before it is of interest.
    pub(super) place: Place,
    /// What is none of ours has a place too.
    pub(super) entries: Vec<(Place, Option<Recorded>)>,
    /// Whether more may follow the entries.
    pub(super) open: bool,
    pub(super) now: Timestamp,
    /// The newest event that is no longer told of.
    pub(super) over: Option<Place>,
    pub(super) newest: Option<Place>,
}

impl Source {
    pub(super) fn last(&self) -> Place {
        self.entries.last().map_or(self.place, |(place, _)| *place)
    }

    pub(super) fn forget_what_is_over(&mut self) {
        if let Some(over) = self.over {
            self.place = self.place.max(over);
            self.entries.retain(|(place, _)| *place > over);
        }
    }

    /// The place after everything was read to its end: time has passed in which nothing happened.
    fn settle(&mut self) {
        let quiet = Place::at(self.now).rewound(SKEW);
        self.place = self.place.max(quiet);
    }
}

fn is_wanted(fact: &Fact, types: &[EventType]) -> bool {
    types.is_empty() || types.contains(&fact.change.event_type())
}

/// Up to where all streams are read: what comes later waits for the next page.
fn horizon(sources: &[Source]) -> Option<(Place, usize)> {
    let open = sources.iter().filter(|source| source.open);
    open.map(|source| (source.last(), source.stream)).min()
}

fn within(horizon: Option<(Place, usize)>, key: (Place, usize)) -> bool {
    horizon.is_none_or(|horizon| key <= horizon)
}

/// How many events the page has so far.
pub(super) fn wanted(sources: &[Source], types: &[EventType]) -> usize {
    let horizon = horizon(sources);
    let entries = sources.iter().flat_map(|source| {
        source
            .entries
            .iter()
            .map(move |(place, told)| ((*place, source.stream), told))
    });
    entries
        .filter(|(key, _)| within(horizon, *key))
        .filter(|(_, told)| {
            told.as_ref()
                .is_some_and(|told| is_wanted(&told.fact, types))
        })
        .count()
}

pub(super) fn page(
    mut sources: Vec<Source>,
    histories: &[Option<History>],
    types: &[EventType],
    limit: PageLimit,
) -> EventPage {
    for source in &mut sources {
        if !source.open && source.entries.is_empty() {
            source.settle();
        }
    }
    let start = place_of(&sources, histories);
    let horizon = horizon(&sources);
    let mut waiting: Vec<((Place, usize), Option<Recorded>)> = Vec::new();
    for source in &mut sources {
        let entries = std::mem::take(&mut source.entries).into_iter();
        waiting.extend(entries.map(|(place, told)| ((place, source.stream), told)));
    }
    waiting.sort_by_key(|(key, _)| *key);
    let mut left = waiting.into_iter().peekable();
    let mut events = Vec::new();
    while events.len() < limit.get()
        && let Some(((place, stream), told)) = left.next_if(|(key, _)| within(horizon, *key))
    {
        if let Some(source) = sources.get_mut(stream) {
            source.place = place;
        }
        if let Some(fact) = told.map(|told| told.fact)
            && is_wanted(&fact, types)
            && let Some(id) = places::event_id(stream, place)
        {
            events.push(Event { id, fact });
        }
    }
    let caught_up = left.peek().is_none() && horizon.is_none();
    let unread: Vec<usize> = left.map(|((_, stream), _)| stream).collect();
    for source in &mut sources {
        if !source.open && !unread.contains(&source.stream) {
            source.settle();
        }
    }
    EventPage {
        events,
        start,
        next: place_of(&sources, histories),
        caught_up,
    }
}

fn place_of(sources: &[Source], histories: &[Option<History>]) -> Cursor {
    let marks = sources.iter().zip(histories).map(|(source, history)| {
        let place = source.place;
        Bookmark {
            place,
            history: *history,
        }
    });
    places::encode(&marks.collect::<Vec<_>>())
}
