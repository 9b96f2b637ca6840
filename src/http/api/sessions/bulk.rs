//! Ending all sessions that match.

use std::net::IpAddr;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gateway::Caller;
use crate::http::error::ApiError;
use crate::http::extract::{Json, given, given_word, optional_object, word};
use crate::http::state::AppState;
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, ServiceId};
use crate::model::session::{ConnectionId, Device, EndReason, SessionState};

/// Which sessions to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkDeleteRequest {
    /// The sessions; it must name something.
    #[serde(deserialize_with = "optional_object")]
    #[schema(value_type = FilterRequest)]
    filter: Option<FilterRequest>,
    /// Why they end; `logout` if left out.
    #[serde(default = "logout", deserialize_with = "word")]
    #[schema(required = false)]
    reason: EndReason,
    /// Whether only to count them.
    #[serde(default)]
    #[schema(required = false)]
    dry_run: bool,
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
    #[schema(value_type = Option<String>, nullable = false)]
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

/// How many sessions matched.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkDeleted {
    /// How many this call ended, or with `dry_run` would have ended.
    count: u64,
}

/// End all sessions that match
///
/// Goes in small steps; broken off, it may be sent again. What is opened after its start lives on.
#[utoipa::path(
    post, path = "/v1/sessions/bulk-delete", tag = "sessions", request_body = BulkDeleteRequest,
    extensions(("x-idempotency" = json!("kept"))),
    responses((status = 200, description = "They are over.", body = BulkDeleted)),
)]
pub(super) async fn bulk_delete_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Json(request): Json<BulkDeleteRequest>,
) -> Result<Json<BulkDeleted>, ApiError> {
    let filter = request.filter.map(FilterRequest::parse).unwrap_or_default();
    let gateway = &state.gateway;
    let count = if request.dry_run {
        gateway.count_matching(&caller, filter).await?
    } else {
        gateway
            .end_matching(&caller, filter, request.reason)
            .await?
    };
    Ok(Json(BulkDeleted { count }))
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
