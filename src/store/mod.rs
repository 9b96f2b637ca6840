//! The store contract: what every backend promises, whatever it is made of.
//!
//! Operations are cut by atomicity: each happens whole or not at all, together with the one event it appends to the
//! feed. A session that is over by age is never returned as live, whatever is still stored; what meets it first ends
//! it with the reason and moment of its expiry. Nothing brings an ended session back. Errors are the third answer:
//! after one, the caller knows nothing.

use crate::model::id::ServiceId;
use crate::model::permission::Scope;

mod acts;
mod claims;
mod create;
pub mod embedded;
mod error;
mod feed;
mod figures;
mod health;
pub mod node;
mod position;
mod profiles;
pub mod redis;
mod services;
mod sessions;
mod stores;

pub use acts::Act;
pub use claims::{Claim, ClaimKey, ClaimStore};
pub use create::{Created, NewSession};
pub use error::{Cause, OpError, Refusal, StoreError};
pub use feed::{EventFeed, EventPage, FeedPlace, Listener};
pub use figures::{
    Breaker, CacheFigures, Census, CopiesFigures, Figures, MasterFigures, OperationFigures,
    StoreFigures,
};
pub use health::{Risk, StoreHealth, StoreWarning};
pub use position::{FeedPosition, Partition, Partitions};
pub use profiles::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile, ProfileStore,
};
pub use services::{NewService, ServiceStore};
pub use sessions::{
    Banned, BulkEffect, Changed, EndAll, EndOutcome, EndWhere, Freshness, Lookup, NewBan, Rotated,
    SessionFilter, SessionStore, Target, TokenRotation, Touch, Verified,
};
pub use stores::Stores;

/// Who acts, and how far they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The acting service.
    pub service_id: ServiceId,
    /// Sessions outside it look missing.
    pub scope: Scope,
}

impl Access {
    /// A service that sees every session.
    #[must_use]
    pub fn to_all(service_id: &ServiceId) -> Self {
        Self {
            service_id: service_id.clone(),
            scope: Scope::All,
        }
    }
}

/// The version a write expects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Whatever it is.
    #[default]
    None,
    /// One of these.
    Versions(Vec<u64>),
}

impl Precondition {
    /// Whether a session of this version may be written.
    #[must_use]
    pub fn allows(&self, version: u64) -> bool {
        match self {
            Self::None => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

/// Names one effect, so that repeating the operation with the same mark within 24 hours does nothing more and tells
/// what the first did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(pub [u8; 32]);
