//! Profiles: what is known of users, kept in the store and loaded from the service that knows it when it is not there.
//!
//! A profile that is missed is asked for once, however many callers and nodes want it: in a node they wait for one
//! flight (`store::node::flight`), and of the nodes the store lets one load at a time (`load`). A loader that fails is
//! no answer about the user: what was kept before is served as stale, or nobody knows.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::{FieldRule, GatewayError, within};
use crate::certificates::TrustError;
use crate::entropy::random_bytes;
use crate::model::id::LoginId;
use crate::model::profile::{MAX_PROFILE_TTL, Profile, UserDetails};
use crate::rules::profiles::{FoundProfile, LoadCause, LoadTicket, NewProfile};
use crate::store::node::Handle;
use crate::store::node::flight::Flights;
use crate::store::{ProfileStore, Stores};

mod load;
mod loader;
mod settings;
mod signature;

pub use settings::{InvalidLoaderUrl, LoaderSettings, LoaderUrl, ProfileSettings};
pub use signature::SigningKey;

use load::{LoadOutcome, Loading};

/// The most profiles that one call refreshes.
const MAX_REFRESHED: usize = 100;

/// Profiles that one refresh loads at a time.
const REFRESHED_ABREAST: usize = 16;

/// How long a refresh takes at most. What is not loaded by then counts as failed.
const REFRESH_DEADLINE: Duration = Duration::from_secs(10);

/// Profiles over a store, with a loader or without one.
#[derive(Debug)]
pub struct Profiles {
    store: Handle<dyn ProfileStore>,
    loading: Option<Arc<Loading>>,
    flights: Arc<Flights<LoginId, LoadOutcome>>,
}

/// What became of a profile that was to be loaded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// It was loaded.
    Loaded,
    /// There is no such user, and nothing is kept any more.
    NotFound,
    /// Nobody told in time, and what was kept still is.
    Failed,
}

impl Profiles {
    /// Profiles of these stores, which nobody loads.
    #[must_use]
    pub fn without_loader(stores: &Stores) -> Self {
        Self {
            store: stores.profiles.clone(),
            loading: None,
            flights: Arc::default(),
        }
    }

    /// Profiles of these stores, loaded as the settings say.
    pub fn open(stores: &Stores, settings: &ProfileSettings) -> Result<Self, TrustError> {
        let loader = settings.loader.as_ref();
        let loading = loader.map(|loader| Loading::open(stores.clone(), loader));
        Ok(Self {
            loading: loading.transpose()?.map(Arc::new),
            ..Self::without_loader(stores)
        })
    }

    /// Keeps a profile, whatever the loader says of it until it expires.
    pub async fn put(
        &self,
        login_id: &LoginId,
        details: UserDetails,
        ttl: Duration,
    ) -> Result<Profile, GatewayError> {
        let ttl = within(MAX_PROFILE_TTL, "ttl_seconds", ttl)?;
        let stale_for = self.loading.as_ref().map(|loading| loading.stale_for);
        let new = NewProfile {
            details,
            ttl,
            stale_for: stale_for.unwrap_or_default(),
        };
        Ok(self.store.put_profile(login_id, new).await?)
    }

    /// Forgets a profile: the next who wants it misses it.
    pub async fn remove(&self, login_id: &LoginId) -> Result<(), GatewayError> {
        if self.store.remove_profile(login_id).await? {
            Ok(())
        } else {
            Err(GatewayError::ProfileNotFound)
        }
    }

    /// The profile of a login: fresh, or loaded, or stale if the loader does not tell.
    pub async fn find(&self, login_id: &LoginId) -> Result<FoundProfile, GatewayError> {
        let kept = self.store.find_profile(login_id).await?;
        if let Some(fresh) = kept.filter(|found| !found.stale) {
            return Ok(fresh);
        }
        let Some(loading) = &self.loading else {
            return Err(GatewayError::ProfileNotFound);
        };
        let load = load_for(loading, login_id, LoadCause::Miss, loading.ttl)?;
        match self.flights.join(login_id, load).await {
            Some(LoadOutcome::Loaded(profile)) => Ok(FoundProfile {
                profile,
                stale: false,
            }),
            Some(LoadOutcome::Missing) => Err(GatewayError::ProfileNotFound),
            Some(LoadOutcome::Failed(Some(found))) => Ok(found),
            Some(LoadOutcome::Failed(None)) | None => Err(GatewayError::LoaderUnavailable),
            Some(LoadOutcome::Unknown(error)) => Err(error.into()),
        }
    }

    /// Loads profiles anew, each login id once, in bounded time. They are told of in the order of their login ids here.
    pub async fn refresh(
        &self,
        login_ids: Vec<LoginId>,
        ttl: Duration,
    ) -> Result<Vec<(LoginId, Refreshed)>, GatewayError> {
        let ttl = within(MAX_PROFILE_TTL, "ttl_seconds", ttl)?;
        if !(1..=MAX_REFRESHED).contains(&login_ids.len()) {
            let rule = FieldRule::LoginIds {
                most: MAX_REFRESHED,
            };
            return Err(GatewayError::invalid("login_ids", rule));
        }
        let loading = self.loading.as_ref();
        let loading = loading.ok_or(GatewayError::LoaderNotConfigured)?;
        let until = Instant::now() + REFRESH_DEADLINE;
        let mut seen = HashSet::new();
        let mut loads = Vec::new();
        for login_id in login_ids {
            if seen.insert(login_id.clone()) {
                let load = load_for(loading, &login_id, LoadCause::Refresh, ttl)?;
                loads.push(async move { (login_id, refreshed(load, until).await) });
            }
        }
        let done = stream::iter(loads).buffered(REFRESHED_ABREAST);
        Ok(done.collect().await)
    }
}

fn load_for(
    loading: &Arc<Loading>,
    login_id: &LoginId,
    cause: LoadCause,
    ttl: Duration,
) -> Result<impl Future<Output = LoadOutcome> + Send + use<>, GatewayError> {
    let ticket = LoadTicket(*random_bytes()?);
    let (loading, login_id) = (Arc::clone(loading), login_id.clone());
    Ok(async move { loading.load(&login_id, ticket, cause, ttl).await })
}

/// Loads one profile, if there is still time for it. A client that hangs up must not leave a lease behind, so the load
/// goes on without it.
async fn refreshed(
    load: impl Future<Output = LoadOutcome> + Send + 'static,
    until: Instant,
) -> Refreshed {
    if until <= Instant::now() {
        return Refreshed::Failed;
    }
    match timeout_at(until, tokio::spawn(load.in_current_span())).await {
        Ok(Ok(LoadOutcome::Loaded(_))) => Refreshed::Loaded,
        Ok(Ok(LoadOutcome::Missing)) => Refreshed::NotFound,
        Ok(Ok(LoadOutcome::Failed(_) | LoadOutcome::Unknown(_)) | Err(_)) | Err(_) => {
            Refreshed::Failed
        }
    }
}
