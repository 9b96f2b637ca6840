//! A new token for a session, in exchange for its present one.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::gateway::{Caller, RotatedBefore};
use crate::http::api::problems::NotRotated;
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::idempotency::{Repeated, rebuildable};
use crate::http::state::AppState;
use crate::model::session::Session;
use crate::model::token::Token;

/// A token to rotate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateTokenRequest {
    /// What the user presented.
    #[schema(value_type = String, format = Password)]
    token: Zeroizing<String>,
}

/// The token that takes the place of the other.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotatedToken {
    /// The token its user presents from now on.
    #[schema(value_type = String, example = "sgw_AZjHpF8ufDGdIGsfClLjfw…")]
    token: Token,
    /// The session.
    session: Session,
}

/// Rotate a token
///
/// The old token stays good for `SGW_ROTATE_GRACE`, and rotating it again meanwhile answers the same new one. After that,
/// while nobody has used the new one, it is taken for lost, and another one answered. Any other of the session's last 8
/// tokens after its grace is reuse: it ends the session as `token_reuse`.
#[utoipa::path(
    post, path = "/v1/tokens/rotate", tag = "tokens", request_body = RotateTokenRequest,
    extensions(("x-idempotency" = json!("rebuilt"))),
    responses(
        (status = 200, description = "The token to present from now on.", body = RotatedToken),
        NotRotated,
    ),
)]
pub(super) async fn rotate_token(
    State(state): State<AppState>,
    caller: Caller,
    entropy: Entropy,
    repeated: Repeated<RotatedBefore>,
    Json(request): Json<RotateTokenRequest>,
) -> Result<Response, ApiError> {
    let gateway = &state.gateway;
    let (token, session) = match repeated.0 {
        Some(before) => gateway.rotated_before(&caller, before).await?,
        None => gateway.rotate(&caller, &entropy, &request.token).await?,
    };
    let remains = RotatedBefore::of(&session, &token);
    rebuildable(&remains, Json(RotatedToken { token, session }))
}
