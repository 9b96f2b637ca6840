//! The use cases, and who may: what can be asked of the gateway, whatever the way in.
//!
//! A way in finds out what is meant, asks [`Authenticator`] who calls, and calls one method of [`Gateway`]; what comes of
//! it, or a [`GatewayError`], it tells in its own form. Only the request to the loader of profiles knows HTTP.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::model::limit::SessionLimit;
use crate::store::Stores;
use crate::store::node::follow::Followers;

mod attributes;
pub mod auth;
mod backups;
mod bulk;
mod cursors;
mod error;
pub mod feed;
pub mod forward_auth;
mod health;
pub mod idempotency;
mod keyring;
mod logins;
pub(crate) mod metrics;
mod open;
pub mod profile;
pub mod quotas;
mod services;
mod sessions;
mod tokens;

pub use auth::{AdminCredential, Authenticator, Caller};
pub use bulk::{BulkDeletion, BulkEnded, LoginEnding};
pub use error::{FieldRule, GatewayError};
pub use health::NotReady;
pub use open::{OpenSession, Opened, OpenedBefore};
pub use services::{RegisterService, SecretBefore};
pub use sessions::{Heartbeat, SessionList};
pub use tokens::{RotatedBefore, Verification};

use auth::Refusals;
use cursors::Cursors;
use profile::Profiles;
use quotas::QuotaDefaults;

/// Followers of the feed at once, unless a setting says otherwise.
const MAX_FOLLOWERS: usize = 1_000;

/// The use cases over one store.
#[derive(Debug, Clone)]
pub struct Gateway {
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
    /// Who follows the feed.
    pub followers: Followers,
    cursors: Arc<Cursors>,
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

impl Gateway {
    /// On this store, without a loader of profiles.
    #[must_use]
    pub fn new(stores: Stores, lifetimes: Lifetimes, admin: AdminCredential) -> Self {
        Self {
            authenticator: Arc::new(Authenticator {
                stores: stores.clone(),
                admin: ArcSwap::from_pointee(admin),
                refusals: Refusals::new(stores.throttles.clone()),
                session_ids: Arc::default(),
                quotas: Arc::default(),
            }),
            followers: Followers::new(stores.events.clone(), MAX_FOLLOWERS),
            profiles: Arc::new(Profiles::without_loader(&stores)),
            cursors: Arc::new(Cursors::new(&stores)),
            session_limit: None,
            lifetimes,
            stores,
        }
    }

    /// The same with this limit of sessions for each login.
    #[must_use]
    pub fn with_session_limit(self, session_limit: Option<SessionLimit>) -> Self {
        Self {
            session_limit,
            ..self
        }
    }

    /// The same with these limits of services that have none of their own.
    #[must_use]
    pub fn with_quotas(self, defaults: QuotaDefaults) -> Self {
        self.authenticator.quotas.set_defaults(defaults);
        self
    }

    /// The same with no more followers of the feed at once than this.
    #[must_use]
    pub fn with_followers(self, most: usize) -> Self {
        let followers = self.followers.at_most(most);
        Self { followers, ..self }
    }

    /// The same with profiles that may be loaded.
    #[must_use]
    pub fn with_profiles(self, profiles: Profiles) -> Self {
        let profiles = Arc::new(profiles);
        Self { profiles, ..self }
    }
}

/// Refuses a length of time that is not 1 second to `limit`.
fn within(limit: Duration, field: &'static str, asked: Duration) -> Result<Duration, GatewayError> {
    if (Duration::from_secs(1)..=limit).contains(&asked) {
        return Ok(asked);
    }
    let rule = FieldRule::Seconds {
        most: limit.as_secs(),
    };
    Err(GatewayError::invalid(field, rule))
}

/// Refuses a limit of fewer than `least` sessions, or of more than one create may end.
fn limit_within(
    least: usize,
    field: &'static str,
    limit: SessionLimit,
) -> Result<SessionLimit, GatewayError> {
    let most = SessionLimit::MAX;
    if (least..=most).contains(&limit.max) {
        return Ok(limit);
    }
    let rule = FieldRule::Number { least, most };
    Err(GatewayError::invalid(field, rule))
}
