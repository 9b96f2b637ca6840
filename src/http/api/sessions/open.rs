//! Opening a session.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::entropy::Entropy;
use crate::gateway::{Caller, OpenSession, Opened, OpenedBefore};
use crate::http::api::limit::LimitRequest;
use crate::http::api::problems::NotOpened;
use crate::http::error::ApiError;
use crate::http::extract::{Json, etag, location, optional_object, optional_word};
use crate::http::idempotency::{Repeated, rebuildable};
use crate::http::proxy::ProxyAuth;
use crate::http::state::AppState;
use crate::model::attribute::Attributes;
use crate::model::id::{LoginId, SessionId};
use crate::model::limit::SessionLimit;
use crate::model::session::{
    ConnectionId, Device, DeviceId, FirstState, ServerAddr, Session, UserAgent,
};
use crate::model::token::Token;

/// A session to open. A field that is null counts as left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "login_id": "user123", "device": "web", "attributes": {"role": "admin", "visits": 3}, "client_ip": "203.0.113.7",
}))]
pub(crate) struct CreateSessionRequest {
    /// Whose session it is.
    login_id: LoginId,
    /// A token of the caller's own, in place of one that the gateway makes: 32 to 512 visible ASCII characters that
    /// are in no use and do not start with `sgw_`; with `SGW_TOKEN_COOKIE` none of them `"`, `,`, `;` or `\`.
    #[schema(
        value_type = Option<String>, min_length = 32, max_length = 512, format = Password,
        pattern = r"^([\x21-\x72\x74-\x7e]|s[\x21-\x66\x68-\x7e]|sg[\x21-\x76\x78-\x7e]|sgw[\x21-\x5e\x60-\x7e])[\x21-\x7e]*$"
    )]
    token: Option<Token>,
    /// The kind of device.
    device: Option<Device>,
    /// Which device.
    device_id: Option<DeviceId>,
    /// What to keep in it.
    attributes: Option<Attributes>,
    /// Where it starts; `active` if left out.
    #[serde(default, deserialize_with = "optional_word")]
    state: Option<FirstState>,
    /// How long it lives without use; the server's `SGW_IDLE_TIMEOUT` if left out.
    #[schema(minimum = 1)]
    idle_timeout_seconds: Option<u64>,
    /// How long it lives at most; the server's `SGW_MAX_AGE` if left out.
    #[schema(minimum = 1)]
    max_age_seconds: Option<u64>,
    /// Its live connection.
    connection_id: Option<ConnectionId>,
    /// The client's address.
    #[schema(value_type = Option<String>, min_length = 2, max_length = 45, example = "203.0.113.7")]
    client_ip: Option<IpAddr>,
    /// The client's port.
    #[schema(maximum = 65_535)]
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
    extensions(("x-idempotency" = json!("rebuilt"))),
    responses(
        (status = 201, description = "The session is open.", body = CreatedSession, headers(
            ("Location" = String, description = "Where the session is."),
            ("ETag" = String, description = "Its version."),
        )),
        NotOpened,
    ),
)]
pub(super) async fn create_session(
    State(state): State<AppState>,
    caller: Caller,
    entropy: Entropy,
    repeated: Repeated<OpenedBefore>,
    Json(request): Json<CreateSessionRequest>,
) -> Result<Response, ApiError> {
    let gateway = &state.gateway;
    let opened = match repeated.0 {
        Some(before) => gateway.opened_before(&caller, before).await?,
        None => {
            gateway
                .open(&caller, &entropy, request.parse(&state.proxy_auth)?)
                .await?
        }
    };
    let remains = opened.remains();
    let Opened {
        session,
        token,
        evicted,
    } = opened;
    let headers = [
        location(&format!("/v1/sessions/{}", session.session_id))?,
        etag(session.version),
    ];
    let body = CreatedSession {
        session,
        token,
        evicted,
    };
    rebuildable(&remains, (StatusCode::CREATED, headers, Json(body)))
}

impl CreateSessionRequest {
    /// A token that no cookie can have would be found missing only when its user comes back with it.
    fn check_token(&self, proxy_auth: &ProxyAuth) -> Result<(), ApiError> {
        let fits = self.token.as_ref().is_none_or(Token::fits_into_cookie);
        if fits || !proxy_auth.reads_a_cookie() {
            return Ok(());
        }
        Err(ApiError::invalid_field(
            "token",
            "must not contain `\"`, `,`, `;` or `\\`: SGW_TOKEN_COOKIE is set, and no cookie can have them in its value",
        ))
    }

    fn parse(self, proxy_auth: &ProxyAuth) -> Result<OpenSession, ApiError> {
        self.check_token(proxy_auth)?;
        Ok(OpenSession {
            login_id: self.login_id,
            token: self.token,
            state: self.state.unwrap_or_default(),
            idle_timeout: self.idle_timeout_seconds.map(Duration::from_secs),
            max_age: self.max_age_seconds.map(Duration::from_secs),
            limit: self.limit.map(SessionLimit::from),
            attributes: self.attributes.unwrap_or_default(),
            device: self.device,
            device_id: self.device_id,
            connection_id: self.connection_id,
            client_ip: self.client_ip.map(|ip| ip.to_canonical()),
            client_port: self.client_port,
            user_agent: self.user_agent,
            server_addr: self.server_addr,
        })
    }
}
