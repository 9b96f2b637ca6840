//! The one decision that reverse proxies ask for, whatever their dialect: may this request pass, and whose is it?
//!
//! The checks stand in a fixed order. Whether there is a token comes first, because what carries none is told so whatever
//! else is wrong, before anybody is asked; then the proxy; then its conditions; only then is the session looked for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};

use super::auth::{Authenticator, Presented};
use super::error::GatewayError;
use super::quotas::Held;
use crate::model::Timestamp;
use crate::model::forward_auth::{Denial, InvalidCondition, TokenOutcome, TokenPlace};
use crate::model::network::Networks;
use crate::model::permission::Permission;
use crate::model::request::{Consistency, Touch};
use crate::model::session::Session;
use crate::store::{StoreError, Verified};

mod candidates;
mod conditions;

pub use candidates::Candidate;
pub use conditions::Conditions;

use candidates::Candidates;

/// Beyond one answer of the server: room for a second attempt, or for noting a use. A proxy is answered within 100 ms of
/// the store's timeout; what is left is for the way.
const ROOM: Duration = Duration::from_millis(50);

/// How long a decision waits for the store, which waits so long itself for one answer of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreDeadline(Duration);

impl StoreDeadline {
    /// For a store that waits so long for an answer.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self(timeout)
    }

    fn of_decision(self) -> Duration {
        self.0 + ROOM
    }

    fn deadlines(self) -> Deadlines {
        let now = Instant::now();
        Deadlines {
            of_several: now + self.0,
            of_decision: now + self.of_decision(),
        }
    }
}

/// Until when one decision waits.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    /// For all tokens, if there are several: there must be time left to use the one that counts.
    of_several: Instant,
    of_decision: Instant,
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
    /// What its user may present, in the order in which it counts.
    pub candidates: Vec<Candidate>,
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

/// A decision, and what led to it.
#[derive(Debug)]
pub struct Decision {
    /// Whose request it is, if it may pass.
    pub outcome: Result<Identity, NotAllowed>,
    /// Where each candidate stands, and what became of it.
    pub tokens: Vec<(TokenPlace, TokenOutcome)>,
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

    /// Decides within the time that there is for the store.
    pub async fn decide(&self, request: ForwardedRequest<'_>) -> Decision {
        let mut candidates = Candidates::of(request.candidates);
        let deadlines = self.deadline.deadlines();
        let admitted = timeout_at(deadlines.of_decision, self.admit(request.principal)).await;
        let outcome = match admitted.unwrap_or_else(|_elapsed| Err(StoreError::TimedOut.into())) {
            Ok(_held) => {
                let (conditions, touch) = (request.conditions, request.touch);
                self.find(&mut candidates, conditions, touch, deadlines)
                    .await
            }
            Err(not_admitted) => Err(not_admitted),
        };
        Decision {
            outcome,
            tokens: candidates.outcomes(),
        }
    }

    async fn find(
        &self,
        candidates: &mut Candidates,
        conditions: Result<Conditions, InvalidCondition>,
        touch: Touch,
        deadlines: Deadlines,
    ) -> Result<Identity, NotAllowed> {
        let conditions = conditions?;
        let stores = &self.authenticator.stores;
        let found = candidates.find(stores, touch, deadlines).await;
        if let Err(NotAllowed::Denied(Denial::TokenUnknown)) = &found {
            self.authenticator.refusals.unknown_token();
        }
        let identity = found?;
        conditions.check(identity.session())?;
        Ok(identity)
    }

    /// Whether a proxy of ours asks, as far as the store tells in time.
    pub async fn is_proxy_in_time(&self, principal: &Principal) -> bool {
        let asked = timeout(self.deadline.of_decision(), self.admit(principal));
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
