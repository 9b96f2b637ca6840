//! Keeping a session alive.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shown;
use crate::draw::Draw;
use crate::http::api::{ReadProblems, WriteProblems, seconds_up_to, target};
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::extract::{IfMatch, Json, OptionalJson, Path, optional_object};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::session::{ConnectionStats, Session, SessionState};

/// How long a session is to live from now.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    /// Seconds without use from now on; its idle timeout if left out. Never past `max_expires_at`.
    #[schema(minimum = 1)]
    ttl_seconds: Option<u64>,
}

/// A sign of life.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeartbeatRequest {
    /// Counters of its connection.
    #[serde(default, deserialize_with = "optional_object")]
    stats: Option<ConnectionStats>,
}

/// What a heartbeat learns.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeartbeatResponse {
    /// Where the session stands now.
    state: SessionState,
    /// The clock that judges expiry.
    server_time: Timestamp,
    /// Whole seconds it lives without further use.
    remaining_seconds: u64,
}

/// Give a session more time
///
/// Moves `idle_expires_at`, never past `max_expires_at`.
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/refresh", tag = "sessions",
    params(("session_id" = SessionId, Path, description = "The session."), IfMatch),
    request_body = Option<RefreshRequest>,
    responses(
        (status = 200, description = "The session with its new expiry.", body = Session,
            headers(("ETag" = String, description = "Its version."))),
        WriteProblems,
    ),
)]
pub(super) async fn refresh_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
    if_match: IfMatch,
    draw: Draw,
    OptionalJson(request): OptionalJson<RefreshRequest>,
) -> Result<Response, ApiError> {
    let limit = state.lifetimes.idle_timeout_limit;
    let ttl = request
        .ttl_seconds
        .map(|ttl| seconds_up_to(limit, "ttl_seconds", ttl))
        .transpose()?;
    let target = target(session_id, &caller, if_match, &draw);
    Ok(shown(state.stores.sessions.refresh(target, ttl).await?))
}

/// Tell that a session lives
///
/// Counts as use, makes the session active and keeps the counters.
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/heartbeat", tag = "sessions",
    params(("session_id" = SessionId, Path, description = "The session.")),
    request_body = Option<HeartbeatRequest>,
    responses((status = 200, description = "Heard.", body = HeartbeatResponse), ReadProblems),
)]
pub(super) async fn heartbeat_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
    draw: Draw,
    OptionalJson(request): OptionalJson<HeartbeatRequest>,
) -> Result<Json<HeartbeatResponse>, ApiError> {
    let target = target(session_id, &caller, IfMatch::default(), &draw);
    let session = state
        .stores
        .sessions
        .heartbeat(target, request.stats)
        .await?;
    let server_time = state.stores.sessions.now();
    let remaining_seconds = session.expires_at.since(server_time).as_secs();
    Ok(Json(HeartbeatResponse {
        state: session.state,
        server_time,
        remaining_seconds,
    }))
}
