//! Ending many sessions: what is asked for, and how far it went.

use std::net::IpAddr;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::entropy::Entropy;
use crate::gateway::{BulkDeletion, BulkEnded, Caller};
use crate::http::error::ApiError;
use crate::http::extract::{Json, given, given_word, optional_object, word};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::page::SealedCursor;
use crate::model::session::{ConnectionId, Device, EndReason, SessionState};

/// Which sessions to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"filter": {"login_id": "user123", "device": "web"}, "dry_run": true}))]
pub(crate) struct BulkDeleteRequest {
    /// The sessions; it must name something.
    #[serde(deserialize_with = "optional_object")]
    #[schema(value_type = FilterRequest)]
    filter: Option<FilterRequest>,
    /// Why they end; `logout` if left out.
    #[serde(default = "logout", deserialize_with = "word")]
    #[schema(required = false)]
    reason: EndReason,
    /// Whether only to find them.
    #[serde(default)]
    #[schema(required = false)]
    dry_run: bool,
    /// `cursor` of the answer before, to go on.
    #[serde(default)]
    cursor: Option<SealedCursor>,
}

/// Conditions that must all hold. One that is null is refused, as it would widen them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterRequest {
    /// Of this login.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    login_id: Option<LoginId>,
    /// Opened by this service.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    service_id: Option<ServiceId>,
    /// On this kind of device.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    device: Option<Device>,
    /// In this state.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(nullable = false)]
    state: Option<SessionState>,
    /// With this connection.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    connection_id: Option<ConnectionId>,
    /// From this address.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, min_length = 2, max_length = 45)]
    client_ip: Option<IpAddr>,
    /// Opened after this moment.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    created_after: Option<Timestamp>,
    /// Opened before this moment.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    created_before: Option<Timestamp>,
    /// Last used after this moment.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    active_after: Option<Timestamp>,
    /// Last used before this moment.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    active_before: Option<Timestamp>,
}

/// The sessions that ended, and how to go on if there are more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedSessions {
    /// How many this call ended, or with `dry_run` would have ended.
    count: u64,
    /// Whether there may be more: then send the same request with `cursor`.
    more: bool,
    /// What goes on where this call stopped; null when `more` is false.
    #[schema(required = true)]
    cursor: Option<SealedCursor>,
    /// All that are counted.
    #[schema(max_items = 1000)]
    session_ids: Vec<SessionId>,
}

impl From<BulkEnded> for EndedSessions {
    fn from(ended: BulkEnded) -> Self {
        Self {
            count: ended.count,
            more: ended.cursor.is_some(),
            cursor: ended.cursor,
            session_ids: ended.session_ids,
        }
    }
}

/// End all sessions that match
///
/// Goes in small steps, and answers within 20 seconds, after at most 1,000 sessions (50 with an `Idempotency-Key`), or
/// when the store stays away after some have ended: then `more` is true, and the same request with `cursor` goes on. What
/// is opened after the first request lives on.
#[utoipa::path(
    post, path = "/v1/sessions/bulk-delete", tag = "sessions", request_body = BulkDeleteRequest,
    extensions(("x-idempotency" = json!("kept"))),
    responses((status = 200, description = "How far it went.", body = EndedSessions)),
)]
pub(super) async fn bulk_delete_sessions(
    State(state): State<AppState>,
    caller: Caller,
    entropy: Entropy,
    Json(request): Json<BulkDeleteRequest>,
) -> Result<Json<EndedSessions>, ApiError> {
    let cursor = request.cursor;
    let asked = BulkDeletion {
        filter: request.filter.map(FilterRequest::parse).unwrap_or_default(),
        reason: request.reason,
        dry_run: request.dry_run,
    };
    let gateway = &state.gateway;
    let ended = gateway.delete_in_bulk(&caller, &entropy, asked, cursor.as_ref());
    Ok(Json(ended.await?.into()))
}

impl FilterRequest {
    fn parse(self) -> SessionFilter {
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

const fn logout() -> EndReason {
    EndReason::Logout
}
