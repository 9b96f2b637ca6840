//! Whether a caller whose answer takes long may still have it.

use std::sync::Arc;

use super::{Authenticator, Caller};
use crate::gateway::GatewayError;
use crate::model::id::ServiceId;
use crate::model::permission::Permission;
use crate::model::request::Consistency;
use crate::model::service::Service;
use crate::model::token::CredentialHash;

/// What let a caller in, to be judged again.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Reauthorization {
    authenticator: Arc<Authenticator>,
    service_id: ServiceId,
    presented: CredentialHash,
    needed: Option<Permission>,
}

impl Reauthorization {
    pub(in crate::gateway) fn of(caller: &Caller, authenticator: &Arc<Authenticator>) -> Self {
        Self {
            authenticator: Arc::clone(authenticator),
            service_id: caller.id().clone(),
            presented: caller.presented,
            needed: caller.needed,
        }
    }

    /// Whether the same credentials would be let in now, by what this node knows if that is fresh enough.
    ///
    /// # Errors
    /// The store does not know.
    pub(in crate::gateway) async fn holds(&self) -> Result<bool, GatewayError> {
        let Self {
            authenticator,
            service_id,
            presented,
            needed,
        } = self;
        let admitted = authenticator.admit(service_id, presented, Consistency::Bounded);
        let may = |service: &Service| needed.is_none_or(|needed| service.scope(needed).is_some());
        Ok(admitted.await?.as_ref().is_some_and(may))
    }
}
