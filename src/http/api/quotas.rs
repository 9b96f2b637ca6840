//! How much of what all services share one of them may take, and takes.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::{NotItself, UnknownService};
use crate::gateway::Caller;
use crate::http::auth::open_to_any;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Path};
use crate::http::state::AppState;
use crate::model::id::ServiceId;
use crate::model::quota::{Quota, QuotaChange, QuotaUse, Quotas};
use crate::model::record::Field;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    open_to_any(routes!(find_service_usage))
}

/// How much a service may take; 0 is no limit, and what is left out or null is the server's default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"opens_per_second": 100}))]
pub(super) struct QuotasRequest {
    /// Requests that a node works on at one time.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    requests_in_flight: Field<u64>,
    /// Sessions that are opened at a node within one second.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    opens_per_second: Field<u64>,
    /// Sessions that live, whatever node they were opened at.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    live_sessions: Field<u64>,
    /// Bytes that a node keeps within a day to answer requests with an `Idempotency-Key` again.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    idempotency_bytes: Field<u64>,
    /// Streams of events that a node sends.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    followers: Field<u64>,
}

/// What a service takes.
#[derive(Debug, Serialize, ToSchema)]
struct ServiceUsage {
    /// Each quota there is.
    items: Vec<QuotaUse>,
}

/// Tell how much of its quotas a service takes
///
/// At the node that answers, but for `live_sessions`, which is of all nodes and at most 5 seconds old. Any service may ask of itself; of others it needs the permission `service.read`.
#[utoipa::path(
    get,
    path = "/v1/services/{service_id}/usage",
    operation_id = "find_service_usage",
    tag = "services",
    params(("service_id" = ServiceId, Path, description = "The id of the service.")),
    responses(
        (status = 200, description = "What it takes, and may take.", body = ServiceUsage),
        NotItself,
        UnknownService,
    ),
)]
async fn find_service_usage(
    State(state): State<AppState>,
    caller: Caller,
    Path(service_id): Path<ServiceId>,
) -> Result<Json<ServiceUsage>, ApiError> {
    let items = state.gateway.service_usage(&caller, &service_id).await?;
    Ok(Json(ServiceUsage { items }))
}

impl From<QuotasRequest> for QuotaChange {
    fn from(request: QuotasRequest) -> Self {
        Self(vec![
            (Quota::RequestsInFlight, request.requests_in_flight),
            (Quota::OpensPerSecond, request.opens_per_second),
            (Quota::LiveSessions, request.live_sessions),
            (Quota::IdempotencyBytes, request.idempotency_bytes),
            (Quota::Followers, request.followers),
        ])
    }
}

impl QuotasRequest {
    /// The limits of a service that has had none.
    pub(super) fn given(self) -> Quotas {
        let mut quotas = Quotas::default();
        QuotaChange::from(self).apply(&mut quotas);
        quotas
    }
}
