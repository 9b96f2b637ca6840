//! The one decision that reverse proxies ask for, whatever their dialect: may this request pass, and whose is it?
//!
//! The checks stand in a fixed order. The token comes first, because what carries none is told so whatever else is
//! wrong, before anybody is asked; then the proxy; then its conditions; only then is the session looked for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use super::auth::{Authenticator, Presented};
use super::error::GatewayError;
use super::quotas::Held;
use crate::model::Timestamp;
use crate::model::forward_auth::{Denial, InvalidCondition};
use crate::model::network::Networks;
use crate::model::permission::Permission;
use crate::model::request::{Consistency, Touch};
use crate::model::session::Session;
use crate::model::token::PresentedToken;
use crate::rules::entry::Lookup;
use crate::store::{StoreError, Verified};

mod conditions;

pub use conditions::Conditions;

/// How long a decision waits for the store.
///
/// That waits for one answer of its server; a little more leaves room for a second attempt. A proxy is answered within
/// 100 ms of that timeout; what is left is for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreDeadline(Duration);

impl StoreDeadline {
    /// For a store that waits so long for an answer.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self(timeout + Duration::from_millis(50))
    }
}

impl Default for StoreDeadline {
    fn default() -> Self {
        Self::after(Duration::from_millis(100))
    }
}

/// Decides for reverse proxies.
#[derive(Debug)]
pub struct ForwardAuth {
    authenticator: Arc<Authenticator>,
    trusted: Networks,
    deadline: StoreDeadline,
}

/// Who asks for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Whoever is at the other end of the connection. It is known by its address, else by its credentials.
    Peer {
        /// Where it is.
        address: Option<IpAddr>,
        /// What it presents.
        presented: Presented,
    },
    /// A service that has proved itself already.
    Service,
}

/// A request that a proxy asks about.
#[derive(Debug)]
pub struct ForwardedRequest<'a> {
    /// What its user presents.
    pub token: PresentedToken,
    /// Who asks.
    pub principal: &'a Principal,
    /// What the proxy asks of the session.
    pub conditions: Result<Conditions, InvalidCondition>,
    /// Whether a yes counts as use of the session.
    pub touch: Touch,
}

/// Whose request it is that may pass.
#[derive(Debug)]
pub struct Identity(Box<Verified>);

impl Identity {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0.record.session
    }

    /// When that dies, unless it is used.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.life.expires_at
    }
}

/// Why a request does not pass. The second is neither yes nor no.
#[derive(Debug, Error)]
pub enum NotAllowed {
    /// It may not.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Nobody knows.
    #[error("the store does not know")]
    Unknown(#[source] GatewayError),
}

impl From<StoreError> for NotAllowed {
    fn from(error: StoreError) -> Self {
        Self::Unknown(error.into())
    }
}

impl From<InvalidCondition> for NotAllowed {
    fn from(invalid: InvalidCondition) -> Self {
        Self::Denied(invalid.into())
    }
}

impl ForwardAuth {
    /// Over the stores of this authenticator.
    #[must_use]
    pub fn new(
        authenticator: Arc<Authenticator>,
        trusted: Networks,
        deadline: StoreDeadline,
    ) -> Self {
        Self {
            authenticator,
            trusted,
            deadline,
        }
    }

    /// Whose request it is, if it may pass.
    pub async fn decide(&self, request: ForwardedRequest<'_>) -> Result<Identity, NotAllowed> {
        match timeout(self.deadline.0, self.ask_store(request)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(StoreError::TimedOut.into()),
        }
    }

    async fn ask_store(&self, request: ForwardedRequest<'_>) -> Result<Identity, NotAllowed> {
        let _held = self.admit(request.principal).await?;
        let conditions = request.conditions?;
        let stores = &self.authenticator.stores;
        // Browsers send `no-cache` with every reload: what this node knows must do.
        let found = stores.find_by_token(&request.token, request.touch, Consistency::Bounded);
        let identity = match found.await? {
            Lookup::Live(found) => Identity(found),
            Lookup::Ended(tombstone) => return Err(Denial::Ended(tombstone.ended).into()),
            Lookup::Unknown => {
                self.authenticator.refusals.unknown_token();
                return Err(Denial::TokenUnknown.into());
            }
        };
        conditions.check(identity.session())?;
        Ok(identity)
    }

    /// Whether a proxy of ours asks, as far as the store tells in time.
    pub async fn is_proxy_in_time(&self, principal: &Principal) -> bool {
        let asked = timeout(self.deadline.0, self.admit(principal));
        matches!(asked.await, Ok(Ok(_)))
    }

    /// Admits a proxy of ours, and takes a place among its requests if it is a service. Its failures count like those of
    /// any service, and it learns when to try again.
    async fn admit(&self, principal: &Principal) -> Result<Option<Held>, NotAllowed> {
        let Principal::Peer { address, presented } = principal else {
            return Ok(None);
        };
        if address.is_some_and(|address| self.trusted.include(address)) {
            return Ok(None);
        }
        let authenticator = &self.authenticator;
        let identified = authenticator.identify(presented, *address, Consistency::Bounded);
        let refused = |retry_after| Err(Denial::ProxyUnauthenticated { retry_after }.into());
        match identified.await {
            Ok((service, _)) => match authenticator.permit(&service, Permission::TokenVerify) {
                Ok(_scope) => {
                    let now = authenticator.stores.sessions.now();
                    let held = authenticator.quotas.allowance(&service, now).enter();
                    held.map(Some).map_err(NotAllowed::Unknown)
                }
                Err(_denied) => refused(None),
            },
            Err(GatewayError::Unauthenticated) => refused(None),
            Err(GatewayError::RateLimited { retry_after }) => refused(Some(retry_after)),
            Err(error) => Err(NotAllowed::Unknown(error)),
        }
    }
}
