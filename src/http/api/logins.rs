//! Login ids: all sessions of one user, whatever the device and the service.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::PageQuery;
use super::sessions::{EndedSessions, SessionPage};
use crate::gateway::{Caller, LoginEnding, SessionList};
use crate::http::auth::guarded;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Path, Query};
use crate::http::state::AppState;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, SessionId};
use crate::model::login::LoginSummary;
use crate::model::page::SealedCursor;
use crate::model::permission::Permission;
use crate::model::session::{Device, EndReason};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(guarded(Permission::LoginRead, routes!(find_login)))
        .merge(guarded(
            Permission::SessionRead,
            routes!(list_login_sessions),
        ))
        .merge(guarded(
            Permission::SessionDelete,
            routes!(end_login_sessions),
        ))
}

/// Which sessions of the login end.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndLoginSessionsQuery {
    /// A session that stays.
    #[param(value_type = Option<String>, format = Uuid)]
    except: Option<String>,
    /// Only those on this kind of device.
    device: Option<Device>,
    /// Why they end; `logout` if left out.
    reason: Option<EndReason>,
    /// `cursor` of the answer before, to go on.
    cursor: Option<SealedCursor>,
}

/// Read what is known about a login id
///
/// A login id that was never seen answers with zeros.
#[utoipa::path(
    get, path = "/v1/logins/{login_id}", tag = "logins",
    params(("login_id" = LoginId, Path, description = "The login id.")),
    responses((status = 200, description = "What is known.", body = LoginSummary)),
)]
async fn find_login(
    State(state): State<AppState>,
    _caller: Caller,
    Path(login_id): Path<LoginId>,
) -> Result<Json<LoginSummary>, ApiError> {
    Ok(Json(state.gateway.find_login(&login_id).await?))
}

/// List the sessions of a login id
///
/// All devices of a user, newest first. A page has no more than 4 MiB; only a null cursor ends the list.
#[utoipa::path(
    get, path = "/v1/logins/{login_id}/sessions", tag = "logins",
    params(("login_id" = LoginId, Path, description = "The login id."), PageQuery),
    responses((status = 200, description = "Its live sessions.", body = SessionPage)),
)]
async fn list_login_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Path(login_id): Path<LoginId>,
    Query(query): Query<PageQuery>,
) -> Result<Response, ApiError> {
    let filter = SessionFilter::of_login(login_id);
    let (limit, cursor) = (query.limit, query.cursor.as_ref());
    let page = state
        .gateway
        .list(&caller, SessionList::OfLogin, &filter, limit, cursor);
    SessionPage::answer(page.await?, None)
}

/// Log a login id out everywhere
///
/// Ends all its sessions, or all but one, or those on one kind of device. Answers within 20 seconds, after at most 1,000
/// sessions, or when the store stays away after some have ended: then `more` is true, and the same request with `cursor`
/// goes on. Nothing that was opened before the first request slips through, if `more` is followed to its end.
#[utoipa::path(
    delete, path = "/v1/logins/{login_id}/sessions", tag = "logins",
    params(("login_id" = LoginId, Path, description = "The login id."), EndLoginSessionsQuery),
    responses((status = 200, description = "How far it went.", body = EndedSessions)),
)]
async fn end_login_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Path(login_id): Path<LoginId>,
    Query(query): Query<EndLoginSessionsQuery>,
) -> Result<Json<EndedSessions>, ApiError> {
    let which = LoginEnding {
        login_id,
        except: query.except.as_deref().map(session_to_keep).transpose()?,
        device: query.device,
        reason: query.reason.unwrap_or(EndReason::Logout),
    };
    let cursor = query.cursor.as_ref();
    let ended = state.gateway.end_all(&caller, which, cursor).await?;
    Ok(Json(ended.into()))
}

/// A misread `except` would log out the one session that was to stay.
fn session_to_keep(text: &str) -> Result<SessionId, ApiError> {
    SessionId::parse(text)
        .ok_or_else(|| ApiError::InvalidRequest("`except` must be a session id".to_owned()))
}
