//! Lets in who may see how a node is.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::credentials::presented;
use super::peer;
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Who asks may see how the node is ([`Operators`](crate::gateway::auth::Operators)).
#[derive(Debug, Clone, Copy)]
pub struct Operator;

impl FromRequestParts<AppState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let presented = presented(&parts.headers);
        let admitted = state.operators.admit(&presented, peer(&parts.extensions));
        admitted.await?;
        Ok(Self)
    }
}
