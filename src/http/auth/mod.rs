//! Who calls, and what they may do.
//!
//! A `route_layer` on all of `/v1` authenticates the service once ([`authenticate()`]); beside each route stands the
//! permission it needs ([`guarded`]). A handler learns both from its [`Caller`]. What a request may carry beside its
//! body is derived from the document of its operation, and a repeated POST has one effect (see
//! [`idempotency`](crate::gateway::idempotency)); both come with the guard, so that no route can forget them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::gateway::{Caller, GatewayError};
use crate::http::error::ApiError;

mod authenticate;
mod credentials;
mod document;
mod guard;
mod operator;
mod proof;
mod rate_limit;
mod rules;

pub use authenticate::{authenticate, peer};
pub use credentials::is_of_admin;
pub(super) use credentials::presented_pair;
pub use guard::{guarded, open_to_any};
pub use operator::Operator;
pub use proof::Proof;

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<Self>().cloned();
        Ok(caller.ok_or(GatewayError::Unauthenticated)?)
    }
}
