//! Who calls, and what they may do.
//!
//! A `route_layer` on all of `/v1` authenticates the service once ([`authenticate()`]); beside each route stands the
//! permission it needs ([`guarded`]). A handler learns both from its [`Caller`]. What a request may carry beside its
//! body is derived from the document of its operation, and a repeated POST has one effect (see
//! [`idempotency`](crate::gateway::idempotency)); both come with the guard, so that no route can forget them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::error::ApiError;
use crate::model::id::ServiceId;
use crate::model::permission::{Permission, Scope};
use crate::model::service::Service;
use crate::model::token::CredentialHash;
use crate::store::{Access, Stores};

mod admission;
mod authenticate;
mod built_in;
mod credentials;
mod document;
mod guard;
mod rules;
mod throttle;

pub use admission::Admission;
pub use authenticate::{authenticate, peer};
pub use built_in::ensure_admin;
pub use guard::{guarded, open_to_any};
pub use throttle::Throttle;

/// The secret of the built-in service as configured (`SGW_ADMIN_SECRET`), which wins over the stored one.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdminCredential(pub Option<CredentialHash>);

/// What it takes to find out who calls.
#[derive(Debug)]
pub struct Authenticator {
    /// Where services are looked up.
    pub stores: Stores,
    /// The configured secret of the built-in service, if there is one.
    pub admin: AdminCredential,
    /// Slows addresses down from which too many authentications failed.
    pub throttle: Throttle,
}

/// The service behind a request, and how far the permission of the route reaches for it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The calling service.
    pub service: Service,
    /// Sessions outside it look missing.
    pub scope: Scope,
    presented: CredentialHash,
    needed: Option<Permission>,
}

impl Caller {
    /// Who acts, for the store.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            service_id: self.service.service_id.clone(),
            scope: self.scope.clone(),
        }
    }

    /// The id of the calling service.
    #[must_use]
    pub fn id(&self) -> &ServiceId {
        &self.service.service_id
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(ApiError::Unauthenticated)
    }
}
