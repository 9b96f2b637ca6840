//! The feed. Events are numbered from 1 in the order of their commits, in one partition; a cursor holds the number of
//! the last event that was looked at.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use redb::ReadableTable;
use tokio::time::Instant;

use super::record::{corrupt, decode};
use super::stored::StoredEvent;
use super::tables::{EVENTS, META, meta};
use super::{EmbeddedStore, Shared};
use crate::model::event::{Event, EventId, EventType, FeedStart};
use crate::model::page::{PageLimit, PageRoom};
use crate::rules::refusal::Refusal;
use crate::store::position::Position;
use crate::store::{
    EventFeed, FeedPage, FeedPosition, Listener, OpError, Partition, Partitions, StoreError,
};

#[async_trait]
impl EventFeed for EmbeddedStore {
    async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        _heard: Option<Instant>,
    ) -> Result<FeedPage, OpError> {
        let after = match from {
            FeedStart::Start => None,
            FeedStart::AfterEvent(id) => {
                let (_, position) = Partitions::One.locate(id).ok_or(Refusal::CursorInvalid)?;
                Some(position.number)
            }
            FeedStart::At(cursor) => {
                Some(FeedPosition::number_of(cursor).ok_or(Refusal::CursorInvalid)?)
            }
        };
        let types = types.to_vec();
        let page = self.scan(move |shared| page(shared, after, &types, limit));
        Ok(page.await??)
    }

    fn partitions(&self) -> Partitions {
        Partitions::One
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.shared.listeners.add(listener);
    }

    /// The writer tells listeners before it answers.
    fn watermark(&self, _all: Partition) -> Option<Instant> {
        Some(Instant::now())
    }
}

pub(super) fn event_id(number: u64) -> Result<EventId, StoreError> {
    let position = Position { millis: 0, number };
    let id = Partitions::One.event_id(Partition(0), position);
    id.map_err(corrupt::<StoredEvent>)
}

fn page(
    shared: &Shared,
    after: Option<u64>,
    types: &[EventType],
    limit: PageLimit,
) -> Result<Result<FeedPage, Refusal>, StoreError> {
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
    let mut room = PageRoom::new(limit);
    for row in stored.range(after + 1..)? {
        if room.is_over() {
            break;
        }
        let (number, bytes) = row?;
        room.look(bytes.value().len());
        let fact = decode::<StoredEvent>(bytes.value())?.fact;
        if types.is_empty() || types.contains(&fact.change.event_type()) {
            let id = event_id(number.value())?;
            if !room.take(&(&id, fact.change.event_type(), &fact)) {
                break;
            }
            events.push(Event { id, fact });
        }
        at = number.value();
    }
    Ok(Ok(FeedPage {
        events,
        start: FeedPosition::at_number(after),
        next: FeedPosition::at_number(at),
        caught_up: at == last,
        passed: VecDeque::new(),
    }))
}
