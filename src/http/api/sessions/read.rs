//! Reading sessions: one, or a page of them.

use std::net::IpAddr;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown;
use crate::gateway::{Caller, SessionList};
use crate::http::api::pieces;
use crate::http::api::problems::ReadProblems;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::page::{Page, PageLimit, SealedCursor};
use crate::model::session::{ConnectionId, Device, Session, SessionState};

/// Some sessions, with no more than 4 MiB.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionPage {
    /// The sessions, newest first.
    items: Vec<Session>,
    /// Where the list goes on; null ends it.
    #[schema(required = true)]
    next_cursor: Option<SealedCursor>,
    /// How many there are in all, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    total: Option<u64>,
}

impl SessionPage {
    /// Answers some sessions.
    pub(in crate::http::api) fn answer(
        page: Page<Session, SealedCursor>,
        total: Option<u64>,
    ) -> Result<Response, ApiError> {
        let emptied = Self {
            items: Vec::new(),
            next_cursor: page.next,
            total,
        };
        pieces::page(&emptied, page.items)
    }
}

/// Which sessions to list; every condition must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSessionsQuery {
    /// The most items of the page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: PageLimit,
    /// `next_cursor` of the page before.
    cursor: Option<SealedCursor>,
    /// Whether to count them all; only with `login_id` alone, or without filters and without `:own`.
    #[serde(default)]
    total: bool,
    /// Of this login.
    login_id: Option<LoginId>,
    /// Opened by this service.
    service_id: Option<ServiceId>,
    /// On this kind of device.
    device: Option<Device>,
    /// In this state.
    state: Option<SessionState>,
    /// With this connection.
    connection_id: Option<ConnectionId>,
    /// From this address.
    #[param(value_type = Option<String>, min_length = 2, max_length = 45)]
    client_ip: Option<IpAddr>,
    /// Opened after this moment.
    created_after: Option<Timestamp>,
    /// Opened before this moment.
    created_before: Option<Timestamp>,
    /// Last used after this moment.
    active_after: Option<Timestamp>,
    /// Last used before this moment.
    active_before: Option<Timestamp>,
}

/// Read a session
///
/// Reading does not count as use.
#[utoipa::path(
    get, path = "/v1/sessions/{session_id}", tag = "sessions",
    params(("session_id" = SessionId, Path, description = "The session.")),
    responses(
        (status = 200, description = "The session.", body = Session,
            headers(("ETag" = String, description = "Its version."))),
        ReadProblems,
    ),
)]
pub(super) async fn find_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
) -> Result<Response, ApiError> {
    Ok(shown(state.gateway.find(&caller, session_id).await?))
}

/// List sessions
///
/// Newest first. A page has no more than 4 MiB and looks at no more than 2,000 records, so it may be short, and with filters
/// empty; only a null cursor ends the list.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", params(ListSessionsQuery),
    responses((status = 200, description = "Some sessions.", body = SessionPage)),
)]
pub(super) async fn list_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ListSessionsQuery>,
) -> Result<Response, ApiError> {
    let gateway = &state.gateway;
    let (counts, limit, cursor) = (query.total, query.limit, query.cursor.clone());
    let filter = query.filter();
    let total = if counts {
        Some(gateway.count(&caller, &filter).await?)
    } else {
        None
    };
    let page = gateway.list(&caller, SessionList::All, &filter, limit, cursor.as_ref());
    SessionPage::answer(page.await?, total)
}

impl ListSessionsQuery {
    fn filter(self) -> SessionFilter {
        SessionFilter {
            login_id: self.login_id,
            service_id: self.service_id,
            device: self.device,
            state: self.state,
            connection_id: self.connection_id,
            client_ip: self.client_ip.map(|ip| ip.to_canonical()),
            created_after: self.created_after,
            created_before: self.created_before,
            active_after: self.active_after,
            active_before: self.active_before,
        }
    }
}
