//! Who calls, and what they may do.
//!
//! A `route_layer` on all of `/v1` authenticates the service once ([`authenticate`]); beside each route stands the
//! permission it needs ([`guarded`]). A handler learns both from its [`Caller`].

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::error::ApiError;
use crate::model::permission::{Permission, Scope};
use crate::model::service::{Service, ServiceId};
use crate::model::token::CredentialHash;
use crate::state::AppState;
use crate::store::Access;

/// The secret of the built-in service as configured (`SGW_ADMIN_SECRET`), which wins over the stored one.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdminCredential(pub Option<CredentialHash>);

/// Slows addresses down from which too many authentications failed.
#[derive(Debug, Default)]
pub struct Throttle {}

/// The service behind a request, and how far the permission of the route reaches for it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The calling service.
    pub service: Service,
    /// Sessions outside it look missing.
    pub scope: Scope,
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

/// Answers who calls, or 401.
pub async fn authenticate(
    State(_state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    Ok(next.run(request).await)
}

/// Routes that need a permission; the document learns it, and the errors that every such route can answer.
#[must_use]
pub fn guarded(
    permission: Permission,
    routes: UtoipaMethodRouter<AppState>,
) -> OpenApiRouter<AppState> {
    let _ = permission;
    OpenApiRouter::new().routes(routes)
}
