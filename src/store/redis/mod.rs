//! The store in Redis: several gateways share it and behave as one.
//!
//! Everything of one login lies under one hash tag, so each operation is one script in one slot: whole or not at all,
//! with its event. Reads of one session are plain and judged here by the server's clock; where that is not exact
//! enough, a script decides. Time is Redis's. What callers keep is opaque bytes to the scripts.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::store::Stores;
use crate::store::node::Listeners;
use crate::store::node::activity::Touches;

mod acts;
mod bans;
mod bulk;
mod changes;
mod claims;
mod create;
mod ends;
mod events;
mod failover;
mod feed;
mod fields;
mod figures;
mod health;
mod keys;
mod link;
mod lists;
mod live;
mod merge;
mod places;
mod plan;
mod profiles;
mod record;
mod reply;
mod rotation;
mod scripts;
mod services;
mod sessions;
mod sweep;
mod tokens;
mod uses;
mod verify;

use failover::Remembered;
use keys::Keys;
pub use link::{Deadlines, OpenError, RedisUrl, UrlError};
use link::{Link, ServerClock, Slot};
use live::Heard;

/// Requests of one operation that are under way at a time.
const ABREAST: usize = 64;

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

/// The store behind `redis://`.
#[derive(Debug)]
pub struct RedisStore {
    inner: Arc<Inner>,
    _background: DropGuard,
}

/// What requests and background work share.
struct Inner {
    link: Link,
    keys: Keys,
    settings: RedisSettings,
    touches: Touches,
    listeners: Listeners,
    heard: Heard,
    remembered: Remembered,
    sweep_from: std::sync::atomic::AtomicU8,
}

impl RedisStore {
    /// Connects to Redis.
    pub async fn open(settings: RedisSettings) -> Result<Stores, OpenError> {
        let inner = Arc::new(Inner {
            link: Link::open(&settings).await?,
            keys: Keys::new(&settings.prefix, settings.url.database()),
            touches: Touches::new(settings.touch_interval),
            listeners: Listeners::default(),
            heard: Heard::new(),
            remembered: Remembered::new(),
            settings,
            sweep_from: std::sync::atomic::AtomicU8::new(0),
        });
        let closed = CancellationToken::new();
        tokio::spawn(uses::write_until(Arc::clone(&inner), closed.clone()));
        let node = getrandom::u64()?;
        tokio::spawn(failover::guard_until(Arc::clone(&inner), closed.clone()));
        tokio::spawn(failover::recall_until(Arc::clone(&inner), closed.clone()));
        tokio::spawn(live::follow_until(Arc::clone(&inner), node, closed.clone()));
        let store = Arc::new(Self {
            inner,
            _background: closed.drop_guard(),
        });
        Ok(Stores::of(&store))
    }
}

impl Inner {
    /// The clock that judges what lies in a slot.
    fn clock(&self, slot: Slot) -> ServerClock {
        match &self.settings.test_clock {
            Some(clock) => ServerClock {
                now: clock.now(),
                error: Duration::ZERO,
            },
            None => self.link.clock(slot),
        }
    }

    /// The moment to hand to scripts in place of their clock, if there is one.
    fn test_moment(&self) -> Option<Timestamp> {
        self.settings.test_clock.as_ref().map(|clock| clock.now())
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
