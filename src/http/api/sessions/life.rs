//! Keeping a session alive.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shown;
use crate::entropy::Entropy;
use crate::gateway::Caller;
use crate::http::api::problems::{ReadProblems, WriteProblems};
use crate::http::error::ApiError;
use crate::http::extract::{IfMatch, Json, OptionalJson, Path, optional_object};
use crate::http::idempotency::{Repeated, rebuildable};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::request::Precondition;
use crate::model::session::{ConnectionStats, Session, SessionState};

/// How long a session is to live from now.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ttl_seconds": 1800}))]
pub(crate) struct RefreshRequest {
    /// Seconds without use from now on; its idle timeout if left out. Never past `max_expires_at`.
    #[schema(minimum = 1)]
    ttl_seconds: Option<u64>,
}

/// A sign of life.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"stats": {"packets_sent": 120, "bytes_sent": 48_213, "rtt_ms": 21}}))]
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
    extensions(("x-idempotency" = json!("rebuilt"))),
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
    entropy: Entropy,
    Repeated(repeated): Repeated<SessionId>,
    OptionalJson(request): OptionalJson<RefreshRequest>,
) -> Result<Response, ApiError> {
    let gateway = &state.gateway;
    let session = if let Some(before) = repeated {
        gateway.as_it_is(&caller, before).await?
    } else {
        let target = caller.target(session_id, if_match.0, entropy.operation_id());
        let ttl = request.ttl_seconds.map(Duration::from_secs);
        gateway.refresh(target, ttl).await?
    };
    rebuildable(&session_id, shown(session))
}

/// Tell that a session lives
///
/// Counts as use, makes the session active and keeps the counters.
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/heartbeat", tag = "sessions",
    params(("session_id" = SessionId, Path, description = "The session.")),
    request_body = Option<HeartbeatRequest>,
    extensions(("x-idempotency" = json!("kept"))),
    responses((status = 200, description = "Heard.", body = HeartbeatResponse), ReadProblems),
)]
pub(super) async fn heartbeat_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
    entropy: Entropy,
    OptionalJson(request): OptionalJson<HeartbeatRequest>,
) -> Result<Json<HeartbeatResponse>, ApiError> {
    let target = caller.target(session_id, Precondition::None, entropy.operation_id());
    let heard = state.gateway.heartbeat(target, request.stats).await?;
    Ok(Json(HeartbeatResponse {
        state: heard.state,
        server_time: heard.now,
        remaining_seconds: heard.remaining.as_secs(),
    }))
}
