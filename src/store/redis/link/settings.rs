//! What the Redis store needs to know.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use super::url::RedisUrl;

/// What the Redis store needs to know.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where Redis is, and who this gateway is to it.
    pub url: RedisUrl,
    /// The certificates (PEM) that a server must be signed by; without it, those the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// What every key and channel starts with.
    pub prefix: String,
    /// Without activity for this long, an active session is shown as idle.
    pub idle_after: Duration,
    /// How long an ended session is told of, from its end.
    pub tombstone_retention: Duration,
    /// How long events are kept.
    pub event_retention: Duration,
    /// The longest time between a use of a session and its being written.
    pub touch_interval: Duration,
    /// How long records outlive their expiry, so that their end can still be told when all nodes were down.
    pub sweep_grace: Duration,
    /// How many replicas must have a create, a rotation or an end before it is acknowledged.
    pub wait_replicas: usize,
    /// Milliseconds added to the clock of Redis: zero, but in tests that move time.
    pub clock_offset: Arc<AtomicI64>,
}
