//! The feed. Events are numbered from 1 in the order of their commits; a cursor holds the number of the last event
//! that was looked at.

use std::sync::Arc;

use async_trait::async_trait;
use redb::ReadableTable;
use tokio::time::Instant;

use super::record::{corrupt, decode};
use super::stored::StoredEvent;
use super::tables::{EVENTS, META, meta};
use super::{EmbeddedStore, Shared};
use crate::model::event::{Event, EventId, EventType};
use crate::model::page::{Cursor, PageLimit, RECORDS_PER_PAGE};
use crate::store::{
    EventFeed, EventPage, FeedPlace, Listener, OpError, Part, Progress, Refusal, StoreError,
};

/// Starts the cursors of the feed.
const CURSOR: u8 = b'e';

#[async_trait]
impl EventFeed for EmbeddedStore {
    async fn events(
        &self,
        from: &FeedPlace,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError> {
        let after = match from {
            FeedPlace::Start => None,
            FeedPlace::AfterEvent(id) => Some(number(id).ok_or(Refusal::CursorInvalid)?),
            FeedPlace::At(cursor) => Some(place(cursor).ok_or(Refusal::CursorInvalid)?),
        };
        let types = types.to_vec();
        let page = self.scan(move |shared| page(shared, after, &types, limit));
        Ok(page.await??)
    }

    fn progress(&self, from: &Cursor) -> Option<Box<dyn Progress>> {
        Some(Box::new(Passed(place(from)?)))
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.shared.listeners.add(listener);
    }

    /// The writer tells listeners before it answers.
    fn heard_until(&self, _part: Part) -> Option<Instant> {
        Some(Instant::now())
    }
}

/// The number of the last event that was passed.
#[derive(Debug)]
struct Passed(u64);

impl Progress for Passed {
    fn pass(&mut self, event: &EventId) -> bool {
        let next = number(event).filter(|number| *number > self.0);
        self.0 = next.unwrap_or(self.0);
        next.is_some()
    }

    fn cursor(&self) -> Cursor {
        cursor(self.0)
    }
}

/// Event ids are the number in 16 hexadecimal digits.
pub(super) fn event_id(number: u64) -> Result<EventId, StoreError> {
    EventId::parse(&format!("{number:016x}")).map_err(corrupt::<StoredEvent>)
}

fn number(id: &EventId) -> Option<u64> {
    let number = u64::from_str_radix(id.as_str(), 16).ok()?;
    (format!("{number:016x}") == id.as_str()).then_some(number)
}

fn cursor(number: u64) -> Cursor {
    let mut place = vec![CURSOR];
    place.extend(number.to_be_bytes());
    Cursor::new(place)
}

fn place(cursor: &Cursor) -> Option<u64> {
    match cursor.place() {
        [CURSOR, number @ ..] => Some(u64::from_be_bytes(number.try_into().ok()?)),
        _ => None,
    }
}

fn page(
    shared: &Shared,
    after: Option<u64>,
    types: &[EventType],
    limit: PageLimit,
) -> Result<Result<EventPage, Refusal>, StoreError> {
    let read = shared.read()?;
    let stored = read.open_table(EVENTS)?;
    let trimmed = read.open_table(META)?.get(meta::TRIMMED)?;
    let trimmed = trimmed.map_or(0, |number| number.value());
    let last = stored.last()?.map_or(trimmed, |(number, _)| number.value());
    let after = after.unwrap_or(trimmed);
    if after > last {
        return Ok(Err(Refusal::CursorInvalid));
    }
    if after < trimmed {
        return Ok(Err(Refusal::CursorExpired));
    }
    let mut events = Vec::new();
    let mut at = after;
    for row in stored.range(after + 1..)?.take(RECORDS_PER_PAGE) {
        let (number, bytes) = row?;
        at = number.value();
        let fact = decode::<StoredEvent>(bytes.value())?.fact;
        if types.is_empty() || types.contains(&fact.change.event_type()) {
            let id = event_id(at)?;
            events.push(Event { id, fact });
        }
        if events.len() == limit.get() {
            break;
        }
    }
    Ok(Ok(EventPage {
        events,
        start: cursor(after),
        next: cursor(at),
        caught_up: at == last,
    }))
}
