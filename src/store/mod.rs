//! The store contract: what every backend promises, whatever it is made of.
//!
//! Operations are cut by atomicity: each happens whole or not at all, together with the one event it appends to the
//! feed. A session that is over by age is never returned as live, whatever is still stored; what meets it first ends
//! it with the reason and moment of its expiry. Nothing brings an ended session back. Errors are the third answer:
//! after one, the caller knows nothing.

pub mod backup;
pub mod embedded;
mod error;
mod feed;
mod idempotency;
mod keyring;
pub mod node;
mod position;
mod profiles;
pub mod redis;
mod services;
mod sessions;
mod stats;
mod stores;
mod throttles;

pub use error::{Cause, OpError, StoreError};
pub use feed::{EventFeed, FeedPage, Listener, Origin};
pub use idempotency::{IdempotencyRecordKey, IdempotencyStore};
pub use keyring::KeyringStore;
pub use position::{FeedPosition, Partition, Partitions};
pub use profiles::{ProfileFacts, ProfileStore};
pub use services::ServiceStore;
pub use sessions::{
    Banned, EndPosition, EndedBatch, EndedMany, MarkedBatch, SessionStore, Verified,
};
pub use stats::{
    Breaker, CacheStats, EntryStats, MasterStats, OperationStats, SessionCounts, Stats, StoreStats,
};
pub use stores::Stores;
pub use throttles::ThrottleStore;
