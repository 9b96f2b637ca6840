//! What every request can reach.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::gateway::profile::Profiles;
use crate::http::auth::{AdminCredential, Authenticator, Throttle};
use crate::http::middleware::Watcher;
use crate::http::proxy::{Gate, ProxySettings};
use crate::metrics::Metrics;
use crate::model::limit::SessionLimit;
use crate::store::Stores;
use crate::store::node::follow::Followers;
use crate::telemetry::traces::Traces;

/// Followers of the feed at once, unless a setting says otherwise.
const MAX_FOLLOWERS: usize = 1_000;

/// Shared by all requests.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Shared>);

/// What [`AppState`] leads to.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The store, seen through its contracts.
    pub stores: Stores,
    /// How long sessions live unless a request says otherwise, and how long a request may say.
    pub lifetimes: Lifetimes,
    /// How many sessions a login may have unless a service or a request says so; none is any number.
    pub session_limit: Option<SessionLimit>,
    /// What is known of users.
    pub profiles: Arc<Profiles>,
    /// Finds out who calls.
    pub authenticator: Arc<Authenticator>,
    /// Decides for reverse proxies.
    pub gate: Arc<Gate>,
    /// Who follows the feed.
    pub followers: Followers,
    /// Set while the server drains.
    pub draining: Draining,
    /// What is told at `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Where traces go.
    pub traces: Traces,
}

impl AppState {
    /// The state of a gateway on this store, with no settings for reverse proxies and no loader of profiles.
    #[must_use]
    pub fn new(stores: Stores, lifetimes: Lifetimes, admin: AdminCredential) -> Self {
        let metrics = Arc::new(Metrics::of(&stores));
        let authenticator = Arc::new(Authenticator {
            stores: stores.clone(),
            admin,
            throttle: Throttle::default(),
        });
        let gate = Gate::new(Arc::clone(&authenticator), ProxySettings::default());
        let followers = Followers::new(stores.events.clone(), MAX_FOLLOWERS);
        Self(Arc::new(Shared {
            profiles: Arc::new(Profiles::without_loader(&stores)),
            stores,
            lifetimes,
            followers,
            session_limit: None,
            authenticator,
            gate: Arc::new(gate),
            draining: Draining::default(),
            metrics,
            traces: Traces::default(),
        }))
    }

    /// The same with this limit of sessions for each login.
    #[must_use]
    pub fn with_session_limit(&self, limit: Option<SessionLimit>) -> Self {
        Self(Arc::new(Shared {
            session_limit: limit,
            ..Shared::clone(self)
        }))
    }

    /// The same with traces that go there.
    #[must_use]
    pub fn with_traces(&self, traces: Traces) -> Self {
        Self(Arc::new(Shared {
            traces,
            ..Shared::clone(self)
        }))
    }

    /// The same with no more followers of the feed at once than this.
    #[must_use]
    pub fn with_followers(&self, most: usize) -> Self {
        Self(Arc::new(Shared {
            followers: self.followers.at_most(most),
            ..Shared::clone(self)
        }))
    }

    /// The same with profiles that may be loaded.
    #[must_use]
    pub fn with_profiles(&self, profiles: Profiles) -> Self {
        Self(Arc::new(Shared {
            profiles: Arc::new(profiles),
            ..Shared::clone(self)
        }))
    }

    /// What watches every request.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher {
            requests: Arc::clone(&self.metrics.requests),
            traces: self.traces.clone(),
        }
    }

    /// The same with these settings for reverse proxies.
    #[must_use]
    pub fn with_proxies(&self, settings: ProxySettings) -> Self {
        let gate = Gate::new(Arc::clone(&self.authenticator), settings);
        Self(Arc::new(Shared {
            gate: Arc::new(gate),
            ..Shared::clone(self)
        }))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<AppState> for Arc<Gate> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.gate)
    }
}

/// How long sessions and their tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Without use, unless the request says otherwise (`SGW_IDLE_TIMEOUT`).
    pub idle_timeout: Duration,
    /// At most, unless the request says otherwise (`SGW_MAX_AGE`).
    pub max_age: Duration,
    /// The longest idle timeout a request may ask for (`SGW_IDLE_TIMEOUT_LIMIT`).
    pub idle_timeout_limit: Duration,
    /// The greatest age a request may ask for (`SGW_MAX_AGE_LIMIT`).
    pub max_age_limit: Duration,
    /// How long a rotated token stays good (`SGW_ROTATE_GRACE`).
    pub rotate_grace: Duration,
    /// How old a token should become before it is rotated, if that is told (`SGW_ROTATE_AFTER`).
    pub rotate_after: Option<Duration>,
}

/// Whether the server is on its way out: it still answers, but is not ready for more.
#[derive(Debug, Clone, Default)]
pub struct Draining(CancellationToken);

impl Draining {
    /// Begins to drain; there is no way back.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it has begun. What would answer for ever ends then.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}
