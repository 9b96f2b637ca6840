//! Followers of the feed, over any store: every event soon after it happened, from an exact position on.
//!
//! A follower reads the feed up to its end, then takes what the listeners of the store are told, until it may have
//! missed something: it was too slow, or the store told of a gap. Then it reads on from its position. So it needs no more
//! memory than a page, whatever it misses costs nobody else anything, and nothing is left out silently: where the feed
//! is no longer kept, following ends with [`Refusal::CursorExpired`](crate::rules::refusal::Refusal::CursorExpired).

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

use super::Handle;
use crate::model::event::{EventType, FeedStart};
use crate::store::{EventFeed, OpError};

mod follower;
mod hub;
mod missing;

pub use follower::{Follower, Placed};
use hub::Hub;

/// Reads of the feed at a time for all followers together: a read asks every shard, and requests come first.
const READS: usize = 4;

/// All who follow the feed by this node.
#[derive(Debug, Clone)]
pub struct Followers {
    feed: Handle<dyn EventFeed>,
    hub: Arc<Hub>,
    slots: Arc<Semaphore>,
    /// One more, which is kept for who must not be kept out.
    kept: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

/// Why the feed is not followed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// As many follow it as may.
    #[error("as many follow the feed as may")]
    Full,
    /// The position is none, or the store does not know.
    #[error(transparent)]
    Feed(#[from] OpError),
}

/// Which places a follower may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowerPlace {
    /// One of those that there are for all.
    Any,
    /// One of those, or else the one that is kept.
    AnyOrKept,
}

impl Followers {
    /// Of this feed, `most` at once.
    #[must_use]
    pub fn new(feed: Handle<dyn EventFeed>, most: usize) -> Self {
        let hub = Arc::new(Hub::new());
        feed.listen(Arc::<Hub>::clone(&hub) as _);
        Self {
            feed,
            hub,
            slots: slots(most),
            kept: slots(1),
            reads: Arc::new(Semaphore::new(READS)),
        }
    }

    /// The same with this many at once.
    #[must_use]
    pub fn at_most(&self, most: usize) -> Self {
        Self {
            slots: slots(most),
            ..self.clone()
        }
    }

    /// Follows the feed from a position on; only events of these types are told (empty: of all). The first page is read
    /// before this returns.
    ///
    /// # Errors
    /// [`FollowError::Full`], or what [`EventFeed::events`] says of the position.
    pub async fn follow(
        &self,
        from: &FeedStart,
        types: Vec<EventType>,
        place: FollowerPlace,
    ) -> Result<Follower, FollowError> {
        let take = |slots: &Arc<Semaphore>| Arc::clone(slots).try_acquire_owned();
        let slot = match place {
            FollowerPlace::Any => take(&self.slots),
            FollowerPlace::AnyOrKept => take(&self.slots).or_else(|_none_left| take(&self.kept)),
        };
        let slot = slot.map_err(|_none_left| FollowError::Full)?;
        Ok(Follower::begin(self, from, types, slot).await?)
    }
}

fn slots(most: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
}
