//! The store contract: what every backend promises, whatever it is made of.
//!
//! Operations are cut by atomicity: each happens whole or not at all, together with the one event it appends to the
//! feed. A session that is over by age is never returned as live, whatever is still stored; what meets it first ends
//! it with the reason and moment of its expiry. Nothing brings an ended session back. Errors are the third answer:
//! after one, the caller knows nothing.

use std::sync::Arc;

pub use crate::model::event::{EventPage, FeedPlace};
pub use crate::model::filter::SessionFilter;
pub use crate::model::health::{Risk, StoreHealth, StoreWarning};
pub use crate::model::request::{Access, Freshness, Mark, Precondition, Target, Touch};
use crate::model::token::PresentedToken;

pub mod cache;
mod claims;
pub mod embedded;
mod error;
mod feed;
mod figures;
pub mod follow;
mod listeners;
pub mod observed;
mod profiles;
pub mod redis;
mod services;
mod sessions;
pub mod touches;

pub use crate::rules::ban::NewBan;
pub use crate::rules::change::Changed;
pub use crate::rules::create::{Created, NewSession};
pub use crate::rules::end::{EndAll, EndOutcome};
pub use crate::rules::entry::Lookup;
pub use crate::rules::idempotency::Claim;
pub use crate::rules::profiles::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile,
};
pub use crate::rules::refusal::Refusal;
pub use crate::rules::rotate::{Rotated, TokenRotation};
pub use crate::rules::services::NewService;
pub use claims::{ClaimKey, ClaimStore};
pub use error::{Cause, OpError, StoreError};
pub use feed::{EventFeed, Listener, Origin, Part, Progress};
pub use figures::{
    Breaker, CacheFigures, Census, CopiesFigures, Figures, MasterFigures, OperationFigures,
    StoreFigures,
};
use listeners::Listeners;
pub use profiles::{ProfileFacts, ProfileStore};
pub use services::ServiceStore;
pub use sessions::{Banned, BulkEffect, EndWhere, SessionStore, Verified};

/// One backend, seen through its contracts.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Sessions, their attributes, their logins.
    pub sessions: Arc<dyn SessionStore>,
    /// Registered services.
    pub services: Arc<dyn ServiceStore>,
    /// The feed of events.
    pub events: Arc<dyn EventFeed>,
    /// Claims of idempotency keys.
    pub claims: Arc<dyn ClaimStore>,
    /// Profiles of logins.
    pub profiles: Arc<dyn ProfileStore>,
    /// What it tells of itself.
    pub figures: Arc<dyn StoreFigures>,
}

impl Stores {
    /// Looks for the session behind a token, in what this node knows if that is fresh enough.
    pub async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
        freshness: Freshness,
    ) -> Result<Lookup<Verified>, StoreError> {
        let recalled = match freshness {
            Freshness::Bounded => self.sessions.recall(token, touch),
            Freshness::Now => None,
        };
        match recalled {
            Some(found) => Ok(Lookup::Live(Box::new(found))),
            None => self.sessions.find_by_token(token, touch).await,
        }
    }
}
