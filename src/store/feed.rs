//! The feed: every change, at least once, in order for each login.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::OpError;
use crate::model::event::{Event, EventId, EventPage, EventType, FeedPlace};
use crate::model::id::{LoginId, SessionId};
use crate::model::page::{Cursor, PageLimit};

/// A part of the feed: its events come from one place, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// All about the logins of a shard.
    Shard(u8),
    /// All about services.
    Services,
}

impl Part {
    /// Where a session is told of.
    #[must_use]
    pub fn of_session(session_id: SessionId) -> Self {
        let [.., shard] = *session_id.as_bytes();
        Self::Shard(shard)
    }

    /// Where a login is told of.
    #[must_use]
    pub fn of_login(login_id: &LoginId) -> Self {
        Self::Shard(login_id.shard())
    }
}

/// A place in the feed that moves on event by event, in any order that the feed tells them.
pub trait Progress: Debug + Send {
    /// Moves past an event; false if that was done before.
    fn pass(&mut self, event: &EventId) -> bool;

    /// The exact place.
    fn cursor(&self) -> Cursor;
}

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

    /// Changes in this part may go unheard from now on: copies of what lies there are worth nothing. What went unheard
    /// is told later, before [`EventFeed::heard_until`] says anything about the part again.
    fn gap(&self, part: Part);
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

    /// A place to move on from; none if this store did not make the cursor.
    fn progress(&self, from: &Cursor) -> Option<Box<dyn Progress>>;

    /// Tells a listener of every change from now on, as long as the store is there.
    fn listen(&self, listener: Arc<dyn Listener>);

    /// Every change in this part that was acknowledged before this moment, on whatever node, has been told to the
    /// listeners. `None`: nothing is sure. Cheap enough to be asked on every read.
    fn heard_until(&self, part: Part) -> Option<Instant>;
}
