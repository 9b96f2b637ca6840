//! Who calls, and what they may do.

use super::Authenticated;
use crate::gateway::GatewayError;
use crate::model::id::{ServiceId, SessionId};
use crate::model::permission::{Permission, Scope};
use crate::model::request::{Access, OperationId, Precondition, Target};
use crate::model::service::{Manager, Service};
use crate::model::token::CredentialHash;

/// The service behind a request, and how far the permission that the operation needs reaches for it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The calling service.
    pub service: Service,
    /// Sessions outside it look missing.
    pub scope: Scope,
    pub(super) presented: CredentialHash,
    pub(super) needed: Option<Permission>,
}

impl Authenticated {
    /// The caller of an operation that needs this permission, or any service's if it needs none.
    pub fn caller(&self, needed: Option<Permission>) -> Result<Caller, GatewayError> {
        let scope = match needed {
            None => Scope::OpenedBy(self.service.opener()),
            Some(needed) => self.authenticator.permit(&self.service, needed)?,
        };
        Ok(Caller {
            service: self.service.clone(),
            scope,
            presented: self.presented,
            needed,
        })
    }
}

impl Caller {
    /// The id of the calling service.
    #[must_use]
    pub fn id(&self) -> &ServiceId {
        &self.service.service_id
    }

    /// Who manages other services.
    #[must_use]
    pub fn manager(&self) -> Manager {
        Manager {
            service_id: self.id().clone(),
            permissions: self.service.permissions.clone(),
        }
    }

    /// Who acts, for the store.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            service_id: self.id().clone(),
            scope: self.scope.clone(),
        }
    }

    /// A session that it writes.
    #[must_use]
    pub fn target(
        &self,
        session_id: SessionId,
        precondition: Precondition,
        operation_id: Option<OperationId>,
    ) -> Target {
        Target {
            session_id,
            access: self.access(),
            precondition,
            operation_id,
        }
    }
}
