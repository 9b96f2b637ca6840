//! Whether the process lives, and whether it is ready for requests. Neither asks for credentials.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Json;
use crate::state::AppState;

/// How long the store may take to say that it works.
const CHECK_DEADLINE: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(get_liveness))
        .routes(routes!(get_readiness))
}

/// How the gateway is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// Whether it is well.
    status: HealthStatus,
    /// What stands against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "draining")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthStatus {
    /// The process answers.
    Alive,
    /// Requests can be served.
    Ready,
    /// Requests would fail.
    NotReady,
}

/// Whether the process lives
///
/// Says nothing about the store: restarting the gateway would not mend it.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "get_liveness",
    tag = "health",
    security(()),
    responses((status = 200, description = "The process lives", body = Health))
)]
async fn get_liveness() -> Json<Health> {
    Json(Health {
        status: HealthStatus::Alive,
        reason: None,
    })
}

/// Whether requests can be served
///
/// Not ready while the store does not answer, and while the gateway shuts down.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readiness",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "Requests can be served", body = Health),
        (status = 503, description = "Requests would fail; `reason` says why", body = Health)
    )
)]
async fn get_readiness(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    match obstacle(&state).await {
        None => {
            let status = HealthStatus::Ready;
            (
                StatusCode::OK,
                Json(Health {
                    status,
                    reason: None,
                }),
            )
        }
        Some(reason) => {
            let health = Health {
                status: HealthStatus::NotReady,
                reason: Some(reason),
            };
            (StatusCode::SERVICE_UNAVAILABLE, Json(health))
        }
    }
}

async fn obstacle(state: &AppState) -> Option<String> {
    if state.draining.has_begun() {
        return Some("draining".to_owned());
    }
    match tokio::time::timeout(CHECK_DEADLINE, state.stores.sessions.check()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_elapsed) => Some("the store did not answer in time".to_owned()),
    }
}
