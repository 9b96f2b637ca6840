//! A new token for a session, in exchange for its present one.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::draw::Draw;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, Problem};
use crate::http::extract::Json;
use crate::http::state::AppState;
use crate::model::rotation::Successor;
use crate::model::session::Session;
use crate::model::token::{PresentedToken, Token};
use crate::seal::TokenKey;
use crate::store::{Rotated, TokenRotation};

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
/// The old token stays good for `SGW_ROTATE_GRACE`, and rotating it again meanwhile answers the same new one. One of the
/// session's last 8 tokens after its grace is reuse: it ends the session as `token_reuse`.
#[utoipa::path(
    post, path = "/v1/tokens/rotate", tag = "tokens", request_body = RotateTokenRequest,
    responses(
        (status = 200, description = "The token to present from now on.", body = RotatedToken),
        (status = 404, description = "`token_not_found`: no session has this token.", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "`session_ended`, perhaps by this very call.", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rotate_token(
    State(state): State<AppState>,
    caller: Caller,
    draw: Draw,
    Json(request): Json<RotateTokenRequest>,
) -> Result<Json<RotatedToken>, ApiError> {
    let sessions = &state.stores.sessions;
    let presented = PresentedToken::parse(&request.token).ok_or(ApiError::TokenNotFound)?;
    let session_id = sessions.session_of(&presented).await?;
    let session_id = session_id.ok_or(ApiError::TokenNotFound)?;
    let key = TokenKey::of(&request.token, session_id)?;
    let random = draw.token()?;
    let token = Token::own(session_id, &random);
    let asked = TokenRotation {
        session_id,
        presented: presented.hash,
        successor: Successor {
            hash: token.hash(),
            sealed: key.seal(&random)?,
        },
        grace: state.lifetimes.rotate_grace,
        access: caller.access(),
    };
    let (token, session) = match sessions.rotate(asked).await? {
        Rotated::Now(session) => (token, session),
        Rotated::Before(session, sealed) => (Token::own(session_id, &*key.open(&sealed)?), session),
    };
    Ok(Json(RotatedToken {
        token,
        session: *session,
    }))
}
