//! Changing the fields of a session, and ending it.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use super::shown;
use crate::entropy::Entropy;
use crate::gateway::Caller;
use crate::http::api::problems::{StaleEnd, UnknownSession, WriteProblems};
use crate::http::error::ApiError;
use crate::http::extract::{IfMatch, Patch, Path, Query, optional_object, optional_word};
use crate::http::state::AppState;
use crate::model::id::SessionId;
use crate::model::record::{Field, SessionChange, SessionUpdate};
use crate::model::session::{
    ConnectionId, ConnectionStats, Device, DeviceId, EndReason, ServerAddr, Session, SessionState,
    UserAgent,
};

/// Fields to change: absent keeps, null clears; `state` cannot be cleared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"device": "ios", "client_port": null}))]
pub(crate) struct UpdateSessionRequest {
    /// The new state: `connecting`, `active`, `disconnecting`, or, alone, `closed`, which ends the session.
    #[serde(default, deserialize_with = "state_word")]
    #[schema(value_type = Option<SessionState>, nullable = false)]
    state: Field<SessionState>,
    /// The kind of device.
    #[serde(default)]
    #[schema(value_type = Option<Device>)]
    device: Field<Device>,
    /// Which device.
    #[serde(default)]
    #[schema(value_type = Option<DeviceId>)]
    device_id: Field<DeviceId>,
    /// Its live connection.
    #[serde(default)]
    #[schema(value_type = Option<ConnectionId>)]
    connection_id: Field<ConnectionId>,
    /// The client's address.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 2, max_length = 45)]
    client_ip: Field<IpAddr>,
    /// The client's port.
    #[serde(default)]
    #[schema(value_type = Option<u16>, maximum = 65_535)]
    client_port: Field<u16>,
    /// The client's user agent.
    #[serde(default)]
    #[schema(value_type = Option<UserAgent>)]
    user_agent: Field<UserAgent>,
    /// The server that holds the connection.
    #[serde(default)]
    #[schema(value_type = Option<ServerAddr>)]
    server_addr: Field<ServerAddr>,
    /// Counters of its connection.
    #[serde(default, deserialize_with = "stats_object")]
    #[schema(value_type = Option<ConnectionStats>)]
    stats: Field<ConnectionStats>,
}

/// Why a session ends.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndSessionQuery {
    /// The reason its tombstone tells; `logout` if left out.
    reason: Option<EndReason>,
}

/// Change the fields of a session
///
/// Absent fields stay, null clears. `{"state":"closed"}` ends the session.
#[utoipa::path(
    patch, path = "/v1/sessions/{session_id}", tag = "sessions",
    params(("session_id" = SessionId, Path, description = "The session."), IfMatch),
    request_body(content((UpdateSessionRequest = "application/json"), (UpdateSessionRequest = "application/merge-patch+json"))),
    responses(
        (status = 200, description = "The session after the change.", body = Session,
            headers(("ETag" = String, description = "Its version."))),
        WriteProblems,
    ),
)]
pub(super) async fn update_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
    if_match: IfMatch,
    entropy: Entropy,
    Patch(request): Patch<UpdateSessionRequest>,
) -> Result<Response, ApiError> {
    let target = caller.target(session_id, if_match.0, entropy.operation_id());
    let session = match request.parse()? {
        Update::Close => state.gateway.close(target).await?,
        Update::Fields(update) => {
            let change = SessionChange::Update(Box::new(update));
            state.gateway.change(target, change).await?
        }
    };
    Ok(shown(session))
}

/// End a session
///
/// Ending it again is no error. Nothing brings it back.
#[utoipa::path(
    delete, path = "/v1/sessions/{session_id}", tag = "sessions",
    params(
        ("session_id" = SessionId, Path, description = "The session."),
        EndSessionQuery,
        IfMatch,
    ),
    responses(
        (status = 204, description = "The session is over, by this call or before it."),
        UnknownSession,
        StaleEnd,
    ),
)]
pub(super) async fn end_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
    Query(query): Query<EndSessionQuery>,
    if_match: IfMatch,
    entropy: Entropy,
) -> Result<StatusCode, ApiError> {
    let target = caller.target(session_id, if_match.0, entropy.operation_id());
    let reason = query.reason.unwrap_or(EndReason::Logout);
    state.gateway.end(target, reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

enum Update {
    Close,
    Fields(SessionUpdate),
}

impl UpdateSessionRequest {
    fn parse(self) -> Result<Update, ApiError> {
        let update = SessionUpdate {
            state: None,
            device: self.device,
            device_id: self.device_id,
            connection_id: self.connection_id,
            client_ip: self.client_ip.map(|ip| ip.to_canonical()),
            client_port: self.client_port,
            user_agent: self.user_agent,
            server_addr: self.server_addr,
            stats: self.stats,
        };
        match self.state {
            Field::Keep => Ok(Update::Fields(update)),
            Field::Clear => Err(ApiError::invalid_field("state", "must not be null")),
            Field::Set(SessionState::Idle) => Err(ApiError::invalid_field(
                "state",
                "must not be `idle`, which is derived",
            )),
            Field::Set(SessionState::Closed) if update == SessionUpdate::default() => {
                Ok(Update::Close)
            }
            Field::Set(SessionState::Closed) => Err(ApiError::invalid_field(
                "state",
                "`closed` must stand alone",
            )),
            Field::Set(
                state @ (SessionState::Connecting
                | SessionState::Active
                | SessionState::Disconnecting),
            ) => Ok(Update::Fields(SessionUpdate {
                state: Some(state),
                ..update
            })),
        }
    }
}

/// `null` is told apart from words, so that the refusal can name what is wrong with it.
fn state_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<SessionState>, D::Error> {
    Ok(optional_word(deserializer)?.map_or(Field::Clear, Field::Set))
}

fn stats_object<'de, D>(deserializer: D) -> Result<Field<ConnectionStats>, D::Error>
where
    D: Deserializer<'de>,
{
    let stats = optional_object(deserializer)?;
    Ok(stats.map_or(Field::Clear, Field::Set))
}
