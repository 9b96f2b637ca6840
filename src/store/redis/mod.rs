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
use crate::store::Stores;
use crate::store::node::Listeners;
use crate::store::node::activity::write_until;
use crate::store::node::recovery::RecoveryLog;
use crate::store::node::restarting::restarting;
use crate::store::node::tail::{NodeId, Tail, Watermarks};

mod activity;
mod agreement;
mod call;
mod client;
mod connections;
mod events;
mod failover;
mod feed;
mod fields;
mod formats;
mod hashes;
mod health;
mod hiccups;
mod idempotency;
mod keyring;
mod keys;
mod live;
mod profiles;
mod record;
mod reply;
mod scripts;
mod services;
mod sessions;
mod streams;
mod throttles;

use activity::Activity;
use agreement::Agreement;
use client::Client;
pub use connections::{Deadlines, OpenError, RedisUrl, UrlError};
use failover::Recovery;
use feed::Feed;
pub use formats::{FormatSettings, NEWEST_FORMAT};
use live::Live;
use services::Services;
use sessions::Sessions;
use streams::PARTITIONS;

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
    /// In which format is written what gateways share.
    pub formats: FormatSettings,
    /// A clock in place of the server's, for tests; `None` everywhere else.
    pub test_clock: Option<Arc<dyn Clock>>,
}

/// The store behind `redis://`.
pub struct RedisStore {
    client: Arc<Client>,
    sessions: Arc<Sessions>,
    services: Arc<Services>,
    feed: Arc<Feed>,
    listeners: Arc<Listeners>,
    _background: DropGuard,
}

impl RedisStore {
    /// Connects to Redis.
    pub async fn open(settings: RedisSettings) -> Result<Stores, OpenError> {
        let node = getrandom::u64()?;
        let listeners = Arc::new(Listeners::default());
        let watermarks = Arc::new(Watermarks::new(PARTITIONS));
        let log = Arc::new(RecoveryLog::new(PARTITIONS));
        let client = Arc::new(Client::open(&settings, node).await?);
        let noted = client.join().await?;
        let activity = Arc::new(Activity::new(Arc::clone(&client), settings.touch_interval));
        let feed = Arc::new(Feed::new(
            Arc::clone(&client),
            Arc::clone(&watermarks),
            settings.event_retention,
        ));
        let services = Arc::new(Services::new(Arc::clone(&client), Arc::clone(&log)));
        let sessions = Arc::new(Sessions::new(&client, &activity, &log, &settings));
        let recovery = Arc::new(Recovery {
            client: Arc::clone(&client),
            feed: Arc::clone(&feed),
            watermarks,
            log,
            services: Arc::clone(&services),
            sessions: Arc::clone(&sessions),
        });
        let following = Following {
            recovery: Arc::clone(&recovery),
            listeners: Arc::clone(&listeners),
            node,
            formats: settings.formats,
            noted,
            is_cluster: settings.url.is_cluster(),
        };
        let background = start(activity, recovery, following);
        let store = Arc::new(Self {
            client,
            sessions,
            services,
            feed,
            listeners,
            _background: background,
        });
        Ok(Stores::of(&store))
    }
}

/// What it takes to follow the feed, however often that begins anew.
struct Following {
    recovery: Arc<Recovery>,
    listeners: Arc<Listeners>,
    node: NodeId,
    formats: FormatSettings,
    noted: u64,
    is_cluster: bool,
}

impl Following {
    fn begin(&self) -> Live {
        let Recovery {
            client,
            feed,
            watermarks,
            log,
            services,
            sessions: _,
        } = &*self.recovery;
        Live {
            client: Arc::clone(client),
            feed: Arc::clone(feed),
            tail: Tail::new(PARTITIONS, self.node, watermarks, &self.listeners, log),
            log: Arc::clone(log),
            services: Arc::clone(services),
            agreement: Agreement::new(self.formats, self.noted),
            is_cluster: self.is_cluster,
        }
    }
}

/// Starts what goes on for as long as the store is open.
fn start(activity: Arc<Activity>, recovery: Arc<Recovery>, following: Following) -> DropGuard {
    let closed = CancellationToken::new();
    let until = closed.clone();
    let writing = move || write_until(Arc::clone(&activity), until.clone());
    tokio::spawn(restarting("uses of sessions", writing));
    let (guarded, until) = (Arc::clone(&recovery), closed.clone());
    let guarding = move || failover::guard_until(Arc::clone(&guarded), until.clone());
    tokio::spawn(restarting("failovers", guarding));
    let until = closed.clone();
    let learning = move || failover::learn_until(Arc::clone(&recovery), until.clone());
    tokio::spawn(restarting("what others acknowledge", learning));
    let until = closed.clone();
    let following = move || live::follow_until(following.begin(), until.clone());
    tokio::spawn(restarting("the feed", following));
    closed.drop_guard()
}

/// Of what it keeps in memory nothing: there are hashes of secrets and tokens in it, and very much of it.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
