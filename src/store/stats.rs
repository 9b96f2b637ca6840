//! What a store tells of itself, for those who watch it.

use std::collections::HashMap;
use std::fmt::Debug;

use async_trait::async_trait;

use super::StoreError;
use crate::model::owner::Owner;
use crate::telemetry::counters::Snapshot;

/// How many sessions live at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionCounts {
    /// All that live, in whatever state.
    pub live: u64,
    /// Those that show as active.
    pub active: u64,
    /// Those that show as idle.
    pub idle: u64,
}

impl SessionCounts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            live: self.live + other.live,
            active: self.active + other.active,
            idle: self.idle + other.idle,
        }
    }
}

/// What this node sees of its store.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Uses of sessions that are noted here and still to be written.
    pub uses_waiting: u64,
    /// How it stands with each server behind the store; none where the store is in this process.
    pub masters: Vec<MasterStats>,
    /// Copies that this node keeps; none without a [`cache`](super::node::cache).
    pub cache: Option<CacheStats>,
    /// How long operations took, as far as they are [observed](super::Stores::observed).
    pub operations: Vec<OperationStats>,
}

/// One server behind the store, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterStats {
    /// Host and port.
    pub address: String,
    /// Whether requests are sent to it.
    pub breaker: Breaker,
    /// Open connections to it.
    pub connections: u64,
    /// Requests that are under way or wait for their turn.
    pub requests: u64,
    /// Requests that may be under way at once, as it answers at present.
    pub request_limit: u64,
    /// Requests that were shed so far, as it had too much to do.
    pub shed: u64,
}

/// Whether requests are sent to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// They are.
    Closed,
    /// They wait a moment for a connection.
    Connecting,
    /// They fail at once.
    Open,
}

impl Breaker {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Connecting, Self::Open];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Connecting => "connecting",
            Self::Open => "open",
        }
    }
}

/// Copies that a node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStats {
    /// Of sessions.
    pub sessions: EntryStats,
    /// Of services.
    pub services: EntryStats,
    /// What copies of sessions take, as it is reckoned.
    pub bytes: u64,
    /// What they may take.
    pub max_bytes: u64,
}

/// Copies of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryStats {
    /// Questions that a copy answered.
    pub hits: u64,
    /// Questions that went to the store.
    pub misses: u64,
    /// Copies there are, good or not.
    pub entries: u64,
}

/// How long one operation took that ended one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationStats {
    /// Which operation.
    pub operation: &'static str,
    /// How it ended.
    pub outcome: &'static str,
    /// How long that took.
    pub durations: Snapshot,
}

/// What a store tells of itself.
#[async_trait]
pub trait StoreStats: Debug + Send + Sync {
    /// Counts the sessions that live now, by the store's clock, whatever node they were opened on. Looks at every record,
    /// in steps that hold up nobody. A use that is still to be written may be missing.
    async fn session_counts(&self) -> Result<SessionCounts, StoreError>;

    /// How many sessions each registration of a service has opened that have not ended, on whatever node; one that is over
    /// and not yet swept is one of them. Owners without any are left out. It looks at no session.
    async fn owned(&self) -> Result<HashMap<Owner, u64>, StoreError>;

    /// What this node sees, from memory.
    fn stats(&self) -> Stats;
}
