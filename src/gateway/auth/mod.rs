//! Who calls: the credentials of services.
//!
//! An unknown id, a wrong secret and a disabled service cost the same look into the store and get the same answer at the
//! same time; a store that does not answer is no answer, never a refusal.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

use super::GatewayError;
use super::idempotency::{CallerKey, Claimant};
use super::quotas::{Allowance, ServiceQuotas};
use crate::entropy::SessionIds;
use crate::model::id::ServiceId;
use crate::model::permission::{Permission, Scope};
use crate::model::request::Consistency;
use crate::model::service::{Service, ServiceRecord};
use crate::model::token::CredentialHash;
use crate::store::Stores;

mod built_in;
mod caller;
mod operators;
mod reauthorization;
mod refusals;
mod throttle;
mod unknown_tokens;

pub use built_in::ensure_admin;
pub use caller::Caller;
pub use operators::Operators;
pub use refusals::Refusals;

pub(super) use reauthorization::Reauthorization;

/// The secret of the built-in service as configured (`SGW_ADMIN_SECRET`), which wins over the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdminCredential(pub Option<CredentialHash>);

/// What it takes to find out who calls.
#[derive(Debug)]
pub struct Authenticator {
    /// Where services are looked up.
    pub stores: Stores,
    /// The configured secret of the built-in service, if there is one; it may change while the gateway runs.
    pub admin: ArcSwap<AdminCredential>,
    /// What is told of services that were refused, and what slows them down.
    pub refusals: Refusals,
    /// Where the ids of sessions come from.
    pub session_ids: Arc<SessionIds>,
    /// What each service takes, and how much it may.
    pub quotas: Arc<ServiceQuotas>,
}

/// What a service presents. Its `Debug` form does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who it says it is.
    pub service_id: ServiceId,
    /// What proves it.
    pub secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("service_id", &self.service_id)
            .finish_non_exhaustive()
    }
}

/// The credentials in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// None: no failure of anybody.
    Nothing,
    /// Some that no service can have meant.
    Malformed,
    /// These.
    Credentials(Credentials),
}

/// A service that proved who it is. What an operation needs makes a [`Caller`] of it.
#[derive(Debug, Clone)]
pub struct Authenticated {
    service: Service,
    presented: CredentialHash,
    key: CallerKey,
    authenticator: Arc<Authenticator>,
}

impl Authenticated {
    /// What the service takes at this node, and how much it may.
    #[must_use]
    pub fn allowance(&self) -> Allowance {
        let Authenticator { quotas, stores, .. } = &*self.authenticator;
        quotas.allowance(&self.service, stores.sessions.now())
    }

    /// The service, as the owner of idempotency keys.
    #[must_use]
    pub fn claimant(&self) -> Claimant {
        let stores = &self.authenticator.stores;
        Claimant {
            service: self.service.clone(),
            quotas: Arc::clone(&self.authenticator.quotas),
            key: self.key.clone(),
            now: stores.sessions.now(),
            session_ids: Arc::clone(&self.authenticator.session_ids),
            records: stores.idempotency.clone(),
        }
    }
}

/// Wrong credentials are refused at whole multiples of this after they came in: whether the service is unknown, disabled
/// or has another secret takes different work, and none of it shows.
const REFUSAL_STEP: Duration = Duration::from_millis(10);

fn next_step(since: Instant) -> Instant {
    let steps = since.elapsed().as_millis() / REFUSAL_STEP.as_millis() + 1;
    since + REFUSAL_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

impl Authenticator {
    /// The service that calls. A failure counts against the address.
    pub async fn authenticate(
        self: &Arc<Self>,
        presented: Presented,
        address: Option<IpAddr>,
        consistency: Consistency,
    ) -> Result<Authenticated, GatewayError> {
        let (service, hash) = self.identify(&presented, address, consistency).await?;
        let Presented::Credentials(Credentials { secret, .. }) = presented else {
            return Err(GatewayError::Unauthenticated);
        };
        Ok(Authenticated {
            service,
            presented: hash,
            key: CallerKey::new(secret),
            authenticator: Arc::clone(self),
        })
    }

    /// The service behind credentials, and the hash of its secret. A failure counts against the address.
    pub(super) async fn identify(
        &self,
        presented: &Presented,
        address: Option<IpAddr>,
        consistency: Consistency,
    ) -> Result<(Service, CredentialHash), GatewayError> {
        let since = Instant::now();
        let Credentials { service_id, secret } = match presented {
            Presented::Nothing => return Err(GatewayError::Unauthenticated),
            Presented::Malformed => return Err(self.refusals.refuse(None, address).await),
            Presented::Credentials(credentials) => credentials,
        };
        let hash = CredentialHash::of(secret);
        if let Some(service) = self.admit(service_id, &hash, consistency).await? {
            return Ok((service, hash));
        }
        // Taken before the wait, so that what is told to wait is told by the moment it came.
        let refusal = self.refusals.refuse(Some(service_id), address).await;
        sleep_until(next_step(since)).await;
        Err(refusal)
    }

    /// How far a permission reaches for a service; a service without it is noted.
    pub(super) fn permit(
        &self,
        service: &Service,
        needed: Permission,
    ) -> Result<Scope, GatewayError> {
        let denied = || self.refusals.deny(&service.service_id, needed.into());
        service.scope(needed).ok_or_else(denied)
    }

    /// The service, if these are its credentials. Only a good credential is taken from what this node knows; whatever is
    /// wrong with one, the same is done to find out.
    async fn admit(
        &self,
        service_id: &ServiceId,
        presented: &CredentialHash,
        consistency: Consistency,
    ) -> Result<Option<Service>, GatewayError> {
        let services = &self.stores.services;
        let known = match consistency {
            Consistency::Bounded => services.recall_service(service_id),
            Consistency::Now => None,
        };
        if let Some(known) = known
            && self.accepts(service_id, Some(&known), presented)
        {
            return Ok(Some(known.service.clone()));
        }
        let mut record = services.find_service(service_id).await?;
        let accepted = self.accepts(service_id, record.as_ref(), presented);
        if accepted && record.is_none() {
            built_in::register(&self.stores, CredentialHash::NONE).await?;
            record = services.find_service(service_id).await?;
        }
        Ok(record.filter(|_| accepted).map(|record| record.service))
    }

    fn accepts(
        &self,
        service_id: &ServiceId,
        record: Option<&ServiceRecord>,
        presented: &CredentialHash,
    ) -> bool {
        let is_admin = service_id.is_admin();
        let configured = is_admin.then(|| self.admin.load().0).flatten();
        match (configured, record) {
            (Some(configured), _) => configured == *presented,
            (None, Some(record)) => record.accepts(presented, || self.stores.sessions.now()),
            (None, None) => CredentialHash::NONE == *presented,
        }
    }
}
