//! The node-local cache: a store over any store that answers *live* from copies.
//!
//! Every *no* comes from the store below. A copy is good while all of this holds:
//! - the store below, judging it by its clock, still calls it live;
//! - every change that was acknowledged up to [`CacheSettings::max_staleness`] ago has been heard of
//!   ([`EventFeed::heard_until`]), so that an ending is never later here than that;
//! - no change of it was heard of, or made here, since before it was read (`stamps`).
//!
//! Memory is bounded; what is used least goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{EventFeed, Part, Stores};

mod asked;
mod copies;
mod figures;
mod services;
mod sessions;
mod stamps;

use copies::Copies;
use figures::CachedFigures;
use services::CachedServices;
use sessions::CachedSessions;

/// How far copies are trusted, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// How old an answer may be.
    pub max_staleness: Duration,
    /// How much memory copies of sessions may take.
    pub max_bytes: u64,
}

/// The store with a cache over it.
#[must_use]
pub fn cached(stores: Stores, settings: CacheSettings) -> Stores {
    let copies = Arc::new(Copies::new(settings.max_bytes));
    stores.events.listen(Arc::<Copies>::clone(&copies) as _);
    let proof = Proof {
        feed: Arc::clone(&stores.events),
        max_staleness: settings.max_staleness,
    };
    Stores {
        sessions: Arc::new(CachedSessions::new(
            stores.sessions,
            Arc::clone(&copies),
            proof.clone(),
        )),
        services: Arc::new(CachedServices::new(
            stores.services,
            Arc::clone(&copies),
            proof,
        )),
        figures: Arc::new(CachedFigures::new(stores.figures, copies)),
        ..stores
    }
}

/// What tells that changes are heard of.
#[derive(Debug, Clone)]
struct Proof {
    feed: Arc<dyn EventFeed>,
    max_staleness: Duration,
}

impl Proof {
    /// Whether every change in this part that is older than the bound has been heard of. Ask before looking at a
    /// stamp: what was heard by then has voided its copies.
    fn holds(&self, part: Part) -> bool {
        let heard = self.feed.heard_until(part);
        heard.is_some_and(|until| self.is_recent(until))
    }

    fn is_recent(&self, moment: Instant) -> bool {
        moment.elapsed() <= self.max_staleness
    }
}
