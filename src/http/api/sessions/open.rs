//! Opening a session.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::invalid;
use crate::draw::Draw;
use crate::http::api::limit::LimitRequest;
use crate::http::api::seconds_up_to;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, Problem};
use crate::http::extract::{Json, etag, location, optional_object, word};
use crate::http::state::AppState;
use crate::model::attribute::{AttributeLimit, Attributes};
use crate::model::id::{LoginId, SessionId};
use crate::model::limit::SessionLimit;
use crate::model::session::{
    ConnectionId, Device, DeviceId, ServerAddr, Session, SessionState, UserAgent,
};
use crate::model::session_token::{StoredToken, TokenOrigin};
use crate::model::token::Token;
use crate::store::NewSession;

/// A session to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSessionRequest {
    /// Whose session it is.
    login_id: LoginId,
    /// A token of the caller's own, in place of one that the gateway makes: 32 to 512 visible ASCII characters that
    /// are in no use and do not start with `sgw_`.
    #[schema(value_type = Option<String>, min_length = 32, max_length = 512, format = Password)]
    token: Option<Token>,
    /// The kind of device.
    device: Option<Device>,
    /// Which device.
    device_id: Option<DeviceId>,
    /// What to keep in it.
    #[serde(default)]
    #[schema(required = false)]
    attributes: Attributes,
    /// Where it starts; `active` if left out.
    #[serde(default, deserialize_with = "word")]
    #[schema(required = false)]
    state: FirstState,
    /// How long it lives without use; the server's `SGW_IDLE_TIMEOUT` if left out.
    #[schema(minimum = 1)]
    idle_timeout_seconds: Option<u64>,
    /// How long it lives at most; the server's `SGW_MAX_AGE` if left out.
    #[schema(minimum = 1)]
    max_age_seconds: Option<u64>,
    /// Its live connection.
    connection_id: Option<ConnectionId>,
    /// The client's address.
    #[schema(value_type = Option<String>, example = "203.0.113.7")]
    client_ip: Option<IpAddr>,
    /// The client's port.
    client_port: Option<u16>,
    /// The client's user agent.
    user_agent: Option<UserAgent>,
    /// The server that holds the connection.
    server_addr: Option<ServerAddr>,
    /// How many live sessions the login may have, this one included: in place of the service's own limit, or of the
    /// server's `SGW_LOGIN_MAX_SESSIONS`.
    #[serde(default, deserialize_with = "optional_object")]
    limit: Option<LimitRequest>,
}

/// The states a session can start in.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FirstState {
    /// In use.
    #[default]
    Active,
    /// Not yet heard of.
    Connecting,
}

/// An opened session and its credential, which is shown in this answer only.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedSession {
    /// The session.
    session: Session,
    /// The token its user presents from now on.
    #[schema(value_type = String, example = "sgw_AZjHpF8ufDGdIGsfClLjfw…")]
    token: Token,
    /// The sessions that ended to make room.
    evicted: Vec<SessionId>,
}

/// Open a session
///
/// Under any number of parallel calls a `limit` is exact; the sessions that had to give way are named.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions", request_body = CreateSessionRequest,
    responses(
        (status = 201, description = "The session is open.", body = CreatedSession, headers(
            ("Location" = String, description = "Where the session is."),
            ("ETag" = String, description = "Its version."),
        )),
        (status = 403, description = "`login_banned`, or the service lacks the permission.", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`token_in_use` or `session_limit_reached`.", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create_session(
    State(state): State<AppState>,
    caller: Caller,
    draw: Draw,
    Json(request): Json<CreateSessionRequest>,
) -> Result<Response, ApiError> {
    let session_id = draw.session_id(state.stores.sessions.now(), &request.login_id)?;
    let (token, origin) = match &request.token {
        Some(brought) => (brought.clone(), TokenOrigin::Caller),
        None => (
            Token::own(session_id, &*draw.token()?),
            TokenOrigin::Gateway,
        ),
    };
    let stored = StoredToken {
        hash: token.hash(),
        origin,
    };
    let new = request.new_session(session_id, stored, &caller, &draw, &state)?;
    let created = state.stores.sessions.create(new).await?;
    let headers = [
        location(&format!("/v1/sessions/{session_id}"))?,
        etag(created.session.version),
    ];
    let body = CreatedSession {
        session: created.session,
        token,
        evicted: created.evicted,
    };
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

impl CreateSessionRequest {
    fn new_session(
        self,
        session_id: SessionId,
        token: StoredToken,
        caller: &Caller,
        draw: &Draw,
        defaults: &AppState,
    ) -> Result<NewSession, ApiError> {
        let lifetimes = &defaults.lifetimes;
        let limit = self.limit(caller, defaults.session_limit)?;
        let span = |field, asked: Option<u64>, default: Duration, limit| {
            asked.map_or(Ok(default), |seconds| seconds_up_to(limit, field, seconds))
        };
        let idle_limit = lifetimes.idle_timeout_limit;
        let idle = span(
            "idle_timeout_seconds",
            self.idle_timeout_seconds,
            lifetimes.idle_timeout,
            idle_limit,
        )?;
        let max_age = span(
            "max_age_seconds",
            self.max_age_seconds,
            lifetimes.max_age,
            lifetimes.max_age_limit,
        )?;
        let over = |limit: AttributeLimit| invalid("/attributes", &limit.to_string());
        self.attributes.check().map_err(over)?;
        Ok(NewSession {
            session_id,
            token,
            login_id: self.login_id,
            service_id: caller.id().clone(),
            state: match self.state {
                FirstState::Active => SessionState::Active,
                FirstState::Connecting => SessionState::Connecting,
            },
            idle_timeout: idle,
            max_age,
            limit,
            attributes: self.attributes,
            device: self.device,
            device_id: self.device_id,
            connection_id: self.connection_id,
            client_ip: self.client_ip,
            client_port: self.client_port,
            user_agent: self.user_agent,
            server_addr: self.server_addr,
            mark: draw.mark(),
        })
    }

    /// The limit of the request, or else of the service, or else of the gateway.
    fn limit(
        &self,
        caller: &Caller,
        default: Option<SessionLimit>,
    ) -> Result<Option<SessionLimit>, ApiError> {
        let asked = self.limit.as_ref().map(|limit| limit.parse("/limit", 1));
        let limit = asked.transpose()?.or(caller.service.session_limit);
        Ok(limit.or(default).filter(|limit| limit.max > 0))
    }
}
