//! Whether a caller whose answer takes long may still have it.

use std::sync::Arc;

use super::authenticate::admit;
use super::{Authenticator, Caller};
use crate::http::error::ApiError;
use crate::model::id::ServiceId;
use crate::model::permission::Permission;
use crate::model::token::CredentialHash;
use crate::store::Freshness;

/// What let a caller in, to be judged again.
#[derive(Debug, Clone)]
pub struct Admission {
    authenticator: Arc<Authenticator>,
    service_id: ServiceId,
    presented: CredentialHash,
    needed: Option<Permission>,
}

impl Admission {
    /// Whether the same credentials would be let in now, by what this node knows if that is fresh enough.
    ///
    /// # Errors
    /// The store does not know.
    pub async fn holds(&self) -> Result<bool, ApiError> {
        let freshness = Freshness::Bounded;
        let admitted = admit(
            &self.authenticator,
            &self.service_id,
            &self.presented,
            freshness,
        );
        let Some(service) = admitted.await? else {
            return Ok(false);
        };
        Ok(self.needed.is_none_or(|needed| {
            let scope = service.permissions.scope(needed, &self.service_id);
            scope.is_some()
        }))
    }
}

impl Caller {
    /// What let it in.
    #[must_use]
    pub fn admission(&self, authenticator: &Arc<Authenticator>) -> Admission {
        Admission {
            authenticator: Arc::clone(authenticator),
            service_id: self.id().clone(),
            presented: self.presented,
            needed: self.needed,
        }
    }
}
