//! The feed: every change, at least once, in order for each login.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::position::Position;
use super::{FeedPosition, OpError, Partition, Partitions};
use crate::model::event::{Event, EventType, FeedStart};
use crate::model::page::PageLimit;

/// Where an event comes from, for who counts what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Whether an operation of this node did it, and it is told for the first time.
    pub own: bool,
    /// How long a session that ended had lived, if the event tells that.
    pub lived: Option<Duration>,
}

/// Is told of changes soon after they happened. It must return at once and must not panic: operations wait for it.
pub trait Listener: Debug + Send + Sync {
    /// Something happened. Told at least once, in order for each login.
    fn event(&self, event: &Event, origin: Origin);

    /// Changes in this partition may go unheard from now on: copies of what lies there are worth nothing. What went unheard
    /// is told later, before [`EventFeed::watermark`] says anything about the partition again.
    fn gap(&self, partition: Partition);
}

/// A page of the feed, and the positions before and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The events, in order for each login.
    pub events: Vec<Event>,
    /// Where the page begins.
    pub start: FeedPosition,
    /// Where to go on.
    pub next: FeedPosition,
    /// Whether this was the end of the feed for now.
    pub caught_up: bool,
    /// All that was looked at on the way, the events and what is none of the given types, in their order. A feed of one
    /// partition needs it not.
    pub(super) passed: VecDeque<(Partition, Position)>,
}

/// The feed: every change, at least once, in order for each login.
#[async_trait]
pub trait EventFeed: Debug + Send + Sync {
    /// Events after a position, of the given types (empty: of all). Where this node has heard everything up to `heard`, it
    /// need not ask whether there is more; without it, it asks.
    async fn events(
        &self,
        from: &FeedStart,
        types: &[EventType],
        limit: PageLimit,
        heard: Option<Instant>,
    ) -> Result<FeedPage, OpError>;

    /// How the feed is cut.
    fn partitions(&self) -> Partitions;

    /// Tells a listener of every change from now on, as long as the store is there.
    fn listen(&self, listener: Arc<dyn Listener>);

    /// Every change in this partition that was acknowledged before this moment, on whatever node, has been told to the
    /// listeners. `None`: nothing is sure. Cheap enough to be asked on every read.
    fn watermark(&self, partition: Partition) -> Option<Instant>;
}
