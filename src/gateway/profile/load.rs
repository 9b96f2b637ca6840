//! Loading a profile: one node at a time, as the store grants it, and everybody else waits for what it comes to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::loader::Loader;
use super::settings::LoaderSettings;
use crate::certificates::TrustError;
use crate::model::id::LoginId;
use crate::model::profile::Profile;
use crate::rules::profiles::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile,
};
use crate::store::{StoreError, Stores};

/// How much longer than its request to the loader a load may take. A node that dies over one holds others up for no
/// longer.
const MARGIN: Duration = Duration::from_secs(1);

/// How often somebody who waits for the load of another node asks what it came to.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// How long it counts that there is no such user. Somebody who signs up is not told so for long.
const MISSING_FOR: Duration = Duration::from_secs(5);

/// How long it counts that the loader failed: it is not asked more often than that for one profile.
const FAILED_FOR: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Loading {
    stores: Stores,
    loader: Loader,
    /// How long what is loaded on a miss is fresh.
    pub(super) ttl: Duration,
    /// How long profiles are kept after that.
    pub(super) stale_for: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum LoadOutcome {
    Loaded(Profile),
    Missing,
    /// The loader did not tell; this is what was kept before.
    Failed(Option<FoundProfile>),
    /// The store did not tell.
    Unknown(Arc<StoreError>),
}

impl Loading {
    pub(super) fn open(stores: Stores, settings: &LoaderSettings) -> Result<Self, TrustError> {
        Ok(Self {
            stores,
            loader: Loader::open(settings)?,
            ttl: settings.ttl,
            stale_for: settings.stale_for,
        })
    }

    /// Loads a profile, or waits for somebody else who does: for as long as the loader may take and no longer, except
    /// that what was written meanwhile, or a node that died, may make it begin once more.
    pub(super) async fn load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        cause: LoadCause,
        ttl: Duration,
    ) -> LoadOutcome {
        let settled = self.settle(login_id, ticket, cause, ttl).await;
        settled.unwrap_or_else(|error| LoadOutcome::Unknown(Arc::new(error)))
    }

    async fn settle(
        &self,
        login_id: &LoginId,
        mut ticket: LoadTicket,
        mut cause: LoadCause,
        ttl: Duration,
    ) -> Result<LoadOutcome, StoreError> {
        let profiles = &self.stores.profiles;
        let lease = self.loader.timeout() + MARGIN;
        let until = Instant::now() + lease;
        while Instant::now() < until {
            match profiles.begin_load(login_id, ticket, cause, lease).await? {
                LoadClaim::Granted => {
                    let loaded = self.ask(login_id, ticket, ttl).await;
                    let is_missing = matches!(loaded, Loaded::Missing { .. });
                    match profiles.end_load(login_id, ticket, loaded).await? {
                        LoadEnd::Kept(profile) => return Ok(LoadOutcome::Loaded(profile)),
                        LoadEnd::Noted if is_missing => return Ok(LoadOutcome::Missing),
                        LoadEnd::Noted => break,
                        LoadEnd::Overtaken => {}
                    }
                    // Whatever overtook this load began after it was asked for.
                    cause = LoadCause::Miss;
                    ticket = ticket.next();
                }
                LoadClaim::Busy => sleep(POLL_INTERVAL).await,
                LoadClaim::Kept(profile) => return Ok(LoadOutcome::Loaded(profile)),
                LoadClaim::Missing => return Ok(LoadOutcome::Missing),
                LoadClaim::Failed => break,
            }
        }
        Ok(LoadOutcome::Failed(profiles.find_profile(login_id).await?))
    }

    async fn ask(&self, login_id: &LoginId, ticket: LoadTicket, ttl: Duration) -> Loaded {
        let now = self.stores.sessions.now();
        match self.loader.load(login_id, &ticket.0, now).await {
            Ok(Some(details)) => Loaded::Found(NewProfile {
                details,
                ttl,
                stale_for: self.stale_for,
            }),
            Ok(None) => Loaded::Missing {
                told_for: MISSING_FOR,
            },
            Err(failure) => {
                tracing::warn!(error = failure.told(), "a profile could not be loaded");
                Loaded::Failed {
                    told_for: FAILED_FOR,
                }
            }
        }
    }
}
