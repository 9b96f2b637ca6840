//! The Redis store: standalone, under Sentinel, or Cluster.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the operations of the store use it")
)]
#[expect(unused_imports, reason = "the operations of the store use them")]
mod link;

pub use link::{Deadlines, Health, MasterHealth, OpenError, RedisUrl, UrlError, Warning};

/// What the Redis store needs to know.
#[derive(Clone)]
pub struct RedisSettings {
    /// Where Redis is, with user name and password if it wants any.
    pub url: RedisUrl,
    /// The certificates (PEM) that a server must be signed by; without it, those the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// What requests wait for at most.
    pub deadlines: Deadlines,
    /// How many replicas must have a create, a rotation or an end before it is acknowledged.
    pub wait_replicas: usize,
    /// Starts every key.
    pub prefix: String,
    /// Without activity for this long, an active session is shown as idle.
    pub idle_after: Duration,
    /// How long an ended session is told of, from its end.
    pub tombstone_retention: Duration,
    /// How long events are kept.
    pub event_retention: Duration,
    /// The longest time between a use of a session and its being written.
    pub touch_interval: Duration,
    /// How long records outlive their expiry, so that their end can be told of after all nodes were down.
    pub sweep_grace: Duration,
    /// A clock in place of the server's, for tests; `None` everywhere else.
    pub test_clock: Option<Arc<dyn Clock>>,
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
