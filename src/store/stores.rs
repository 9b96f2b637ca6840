//! All contracts of one engine, as a node uses them.

use std::sync::Arc;

use super::backup::BackupSource;
use super::node::cache::{Cache, CacheSettings};
use super::node::{Handle, Observer};
use super::{
    EventFeed, IdempotencyStore, KeyringStore, ProfileStore, ServiceStore, SessionStore,
    StoreError, StoreStats, ThrottleStore, Verified,
};
use crate::model::request::{Consistency, Touch};
use crate::model::token::PresentedToken;
use crate::rules::entry::Lookup;
use crate::telemetry::traces::Traces;

/// One engine, seen through its contracts.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Sessions, their attributes, their logins.
    pub sessions: Handle<dyn SessionStore>,
    /// Registered services.
    pub services: Handle<dyn ServiceStore>,
    /// The feed of events.
    pub events: Handle<dyn EventFeed>,
    /// Idempotency records.
    pub idempotency: Handle<dyn IdempotencyStore>,
    /// The keys that all gateways on the store share.
    pub keyring: Handle<dyn KeyringStore>,
    /// Profiles of logins.
    pub profiles: Handle<dyn ProfileStore>,
    /// Networks that are slowed down.
    pub throttles: Handle<dyn ThrottleStore>,
    /// What it tells of itself.
    pub stats: Handle<dyn StoreStats>,
    /// What makes backups of it; none where others do.
    pub backups: Option<Arc<dyn BackupSource>>,
}

impl Stores {
    /// The contracts of an engine that keeps all of them.
    pub(super) fn of<E>(engine: &Arc<E>) -> Self
    where
        E: SessionStore
            + ServiceStore
            + EventFeed
            + IdempotencyStore
            + KeyringStore
            + ProfileStore
            + ThrottleStore
            + StoreStats
            + 'static,
    {
        Self {
            sessions: Handle::new(Arc::<E>::clone(engine)),
            services: Handle::new(Arc::<E>::clone(engine)),
            events: Handle::new(Arc::<E>::clone(engine)),
            idempotency: Handle::new(Arc::<E>::clone(engine)),
            keyring: Handle::new(Arc::<E>::clone(engine)),
            profiles: Handle::new(Arc::<E>::clone(engine)),
            throttles: Handle::new(Arc::<E>::clone(engine)),
            stats: Handle::new(Arc::<E>::clone(engine)),
            backups: None,
        }
    }

    /// The same with the time of each operation taken, and a span made of it.
    #[must_use]
    pub fn observed(self, traces: Traces) -> Self {
        let observer = Observer::new(traces);
        Self {
            sessions: self.sessions.observed(&observer),
            services: self.services.observed(&observer),
            events: self.events.observed(&observer),
            idempotency: self.idempotency.observed(&observer),
            keyring: self.keyring.observed(&observer),
            profiles: self.profiles.observed(&observer),
            throttles: self.throttles.observed(&observer),
            stats: self.stats.observed(&observer),
            backups: self.backups,
        }
    }

    /// The same with a cache.
    #[must_use]
    pub fn cached(self, settings: CacheSettings) -> Self {
        let cache = Arc::new(Cache::over(self.events.engine(), settings));
        Self {
            sessions: self.sessions.cached(&cache),
            services: self.services.cached(&cache),
            events: self.events.cached(&cache),
            stats: self.stats.cached(&cache),
            ..self
        }
    }

    /// Looks for the session behind a token, in what this node knows if that is fresh enough.
    pub async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
        consistency: Consistency,
    ) -> Result<Lookup<Verified>, StoreError> {
        let recalled = match consistency {
            Consistency::Bounded => self.sessions.recall(token, touch),
            Consistency::Now => None,
        };
        match recalled {
            Some(found) => Ok(Lookup::Live(Box::new(found))),
            None => self.sessions.find_by_token(token, touch).await,
        }
    }
}
