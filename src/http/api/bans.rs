//! Putting users out: bans of login ids, and kicking out.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::{NoBan, NotBanned};
use crate::gateway::{Caller, GatewayError};
use crate::http::auth::guarded;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Path, Query};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::login::Ban;
use crate::model::page::SealedCursor;
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
#[schema(example = json!({"reason": "reported by three users"}))]
pub(crate) struct BanRequest {
    /// The first moment at which sessions may be opened again, in the future; without it the ban has no end.
    until: Option<Timestamp>,
    /// Why; its sessions that end tell it as `detail`.
    reason: EndDetail,
}

/// Why a user is put out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "reported by three users"}))]
pub(crate) struct KickOutRequest {
    /// Why; the sessions that end tell it as `detail`.
    reason: EndDetail,
    /// Only sessions on this kind of device.
    device: Option<Device>,
    /// `cursor` of the answer before, to go on.
    #[serde(default)]
    cursor: Option<SealedCursor>,
}

/// How a ban would go on; none ever has to.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BanLoginQuery {
    /// No answer has one, so any is refused.
    cursor: Option<SealedCursor>,
}

/// A ban, and what it ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BannedLogin {
    /// The ban.
    ban: Ban,
    /// How many sessions it ended.
    count: u64,
    /// False: no session is left.
    more: bool,
    /// Null, as nothing is left to go on with.
    #[schema(required = true)]
    cursor: Option<SealedCursor>,
}

/// What a kick-out did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KickedOut {
    /// How many live connections were told.
    delivered: usize,
    /// How many sessions this call ended.
    ended: u64,
    /// Whether there may be more: then send the same request with `cursor`.
    more: bool,
    /// What goes on where this call stopped; null when `more` is false.
    #[schema(required = true)]
    cursor: Option<SealedCursor>,
}

/// Ban a login id
///
/// Ends its sessions as `banned` and refuses new ones on every node. Takes the place of a ban there is, and runs out by
/// itself at `until`. Once it is answered every session of the login is refused, however many there are. The events of the
/// last of very many may follow later. When the store stays away amidst it that is 503, and to be sent again.
#[utoipa::path(
    put, path = "/v1/logins/{login_id}/ban", tag = "logins", request_body = BanRequest,
    params(("login_id" = LoginId, Path, description = "The login id."), BanLoginQuery),
    responses(
        (status = 200, description = "The login is banned.", body = BannedLogin),
        NotBanned,
    ),
)]
async fn ban_login(
    State(state): State<AppState>,
    caller: Caller,
    Path(login_id): Path<LoginId>,
    Query(query): Query<BanLoginQuery>,
    Json(request): Json<BanRequest>,
) -> Result<Json<BannedLogin>, ApiError> {
    if query.cursor.is_some() {
        return Err(GatewayError::CursorInvalid.into());
    }
    let BanRequest { until, reason } = request;
    let banned = state.gateway.ban(&caller, login_id, until, reason).await?;
    Ok(Json(BannedLogin {
        ban: banned.ban,
        count: banned.count,
        more: false,
        cursor: None,
    }))
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
/// Ends its sessions, or those on one kind of device, as `kicked_out`. It may log in again at once. Answers within 20
/// seconds, or when the store stays away after some have ended: then `more` is true, and the same request with `cursor`
/// goes on.
#[utoipa::path(
    post, path = "/v1/logins/{login_id}/kick-out", tag = "logins", request_body = KickOutRequest,
    extensions(("x-idempotency" = json!("kept"))),
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses((status = 200, description = "How far it went.", body = KickedOut)),
)]
async fn kick_out_login(
    State(state): State<AppState>,
    caller: Caller,
    Path(login_id): Path<LoginId>,
    Json(request): Json<KickOutRequest>,
) -> Result<Json<KickedOut>, ApiError> {
    let KickOutRequest {
        reason,
        device,
        cursor,
    } = request;
    let gateway = &state.gateway;
    let ended = gateway.kick_out(&caller, login_id, device, reason, cursor.as_ref());
    let ended = ended.await?;
    Ok(Json(KickedOut {
        delivered: 0,
        ended: ended.count,
        more: ended.cursor.is_some(),
        cursor: ended.cursor,
    }))
}
