//! Putting users out: bans of login ids, and kicking out.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::{NoBan, NotBanned};
use crate::gateway::Caller;
use crate::http::auth::guarded;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Path};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::login::Ban;
use crate::model::permission::Permission;
use crate::model::session::{Device, EndDetail};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(guarded(Permission::LoginManage, routes!(ban_login)))
        .merge(guarded(Permission::LoginManage, routes!(find_ban)))
        .merge(guarded(Permission::LoginManage, routes!(unban_login)))
        .merge(guarded(Permission::LoginManage, routes!(kick_out_login)))
}

/// Why a login is banned, and until when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BanRequest {
    /// The first moment at which sessions may be opened again, in the future; without it the ban has no end.
    until: Option<Timestamp>,
    /// Why; its sessions that end tell it as `detail`.
    reason: EndDetail,
}

/// Why a user is put out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KickOutRequest {
    /// Why; the sessions that end tell it as `detail`.
    reason: EndDetail,
    /// Only sessions on this kind of device.
    device: Option<Device>,
}

/// What a kick-out did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KickedOut {
    /// How many live connections were told.
    delivered: usize,
    /// How many sessions ended.
    ended: usize,
}

/// Ban a login id
///
/// Ends its sessions as `banned` and refuses new ones on every node: no session that was opened before the answer lives
/// after it. Takes the place of a ban there is, and runs out by itself at `until`.
#[utoipa::path(
    put, path = "/v1/logins/{login_id}/ban", tag = "logins", request_body = BanRequest,
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses((status = 200, description = "The login is banned.", body = Ban)),
)]
async fn ban_login(
    State(state): State<AppState>,
    caller: Caller,
    Path(login_id): Path<LoginId>,
    Json(request): Json<BanRequest>,
) -> Result<Json<Ban>, ApiError> {
    let banned = state
        .gateway
        .ban(&caller, login_id, request.until, request.reason);
    Ok(Json(banned.await?))
}

/// Read the ban of a login id
#[utoipa::path(
    get, path = "/v1/logins/{login_id}/ban", tag = "logins",
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses(
        (status = 200, description = "Its ban.", body = Ban),
        NoBan,
    ),
)]
async fn find_ban(
    State(state): State<AppState>,
    _caller: Caller,
    Path(login_id): Path<LoginId>,
) -> Result<Json<Ban>, ApiError> {
    Ok(Json(state.gateway.find_ban(&login_id).await?))
}

/// Lift the ban of a login id
#[utoipa::path(
    delete, path = "/v1/logins/{login_id}/ban", tag = "logins",
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses(
        (status = 204, description = "It is not banned any more."),
        NotBanned,
    ),
)]
async fn unban_login(
    State(state): State<AppState>,
    caller: Caller,
    Path(login_id): Path<LoginId>,
) -> Result<StatusCode, ApiError> {
    state.gateway.unban(&caller, &login_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Kick a login id out
///
/// Ends its sessions, or those on one kind of device, as `kicked_out`. It may log in again at once.
#[utoipa::path(
    post, path = "/v1/logins/{login_id}/kick-out", tag = "logins", request_body = KickOutRequest,
    params(("login_id" = LoginId, Path, description = "The login id.")),
    extensions(("x-idempotency" = json!("kept"))),
    responses((status = 200, description = "It is out.", body = KickedOut)),
)]
async fn kick_out_login(
    State(state): State<AppState>,
    caller: Caller,
    Path(login_id): Path<LoginId>,
    Json(request): Json<KickOutRequest>,
) -> Result<Json<KickedOut>, ApiError> {
    let KickOutRequest { reason, device } = request;
    let ended = state.gateway.kick_out(&caller, login_id, device, reason);
    Ok(Json(KickedOut {
        delivered: 0,
        ended: ended.await?,
    }))
}
