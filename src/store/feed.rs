//! The feed: every change, at least once, in order for each login.

use std::fmt::Debug;

use async_trait::async_trait;

use super::OpError;
use crate::model::event::{Event, EventId, EventType};
use crate::model::page::{Cursor, PageLimit};

/// A page of the feed, and the exact place after it. The place is there also when nothing follows yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in order for each login.
    pub events: Vec<Event>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether this was the end of the feed for now.
    pub caught_up: bool,
}

/// Where to read the feed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedPlace {
    /// The oldest event that is kept.
    Start,
    /// After an event, by its name. Events a little older may come again.
    AfterEvent(EventId),
    /// An exact place that a page gave.
    At(Cursor),
}

/// The feed: every change, at least once, in order for each login.
#[async_trait]
pub trait EventFeed: Debug + Send + Sync {
    /// Events after a place, of the given types (empty: of all).
    async fn events(
        &self,
        from: &FeedPlace,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError>;
}
