//! Whether the process lives, and whether it is ready for requests. Anybody may ask; where the store is and what stands
//! against it is for operators.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::NotReady;
use crate::http::auth::Operator;
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::state::AppState;
use crate::model::health::{HealthStatus, Risk, StoreHealth};
use crate::telemetry::log::with_causes;

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
    /// What stands against it, for operators in words; others get a code, `draining` or `store_unavailable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "draining")]
    reason: Option<String>,
    /// What an operator should mend, although requests are served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<Warning>,
}

/// Something that an operator should mend, although requests are served.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoreWarning)]
struct Warning {
    /// What can happen, for programs; stable.
    code: Risk,
    /// Where, why, and what helps; only for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        nullable = false,
        example = "redis.internal:6379: Redis keeps no append-only file; after a crash, ended sessions can be back. Set appendonly yes"
    )]
    detail: Option<String>,
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
    Json(Health::of(HealthStatus::Alive))
}

/// Whether requests can be served
///
/// Not ready while the store does not answer, and while the gateway shuts down. `warnings` tell what in the store can
/// do harm: it drops sessions when it is full, a crash or a failover can undo what it acknowledged, its disk is full or
/// nearly so, or a part of it does not answer. Requests for sessions in that part are refused, all others are served.
/// Where and why is told to those who may read `/metrics`; others get codes.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readiness",
    tag = "health",
    security((), ("basic" = []), ("service_id" = [], "service_secret" = [])),
    responses(
        (status = 200, description = "Requests can be served", body = Health),
        (status = 503, description = "Requests would fail; `reason` says why", body = Health)
    )
)]
async fn get_readiness(
    State(state): State<AppState>,
    operator: Result<Operator, ApiError>,
) -> (StatusCode, Json<Health>) {
    let is_operator = operator.is_ok();
    match store_health(&state).await {
        Ok(StoreHealth { warnings }) => {
            let health = Health::of(HealthStatus::Ready);
            let warnings = warnings.into_iter().map(|warning| Warning {
                code: warning.code,
                detail: is_operator.then_some(warning.detail),
            });
            let warnings = warnings.collect();
            (StatusCode::OK, Json(Health { warnings, ..health }))
        }
        Err(obstacle) => {
            let health = Health::of(HealthStatus::NotReady);
            let reason = Some(if is_operator {
                with_causes(&obstacle)
            } else {
                obstacle.code().to_owned()
            });
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(Health { reason, ..health }),
            )
        }
    }
}

#[derive(Debug, Error)]
enum Obstacle {
    #[error("draining")]
    Draining,
    #[error(transparent)]
    NotReady(#[from] NotReady),
}

impl Obstacle {
    fn code(&self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::NotReady(_) => "store_unavailable",
        }
    }
}

async fn store_health(state: &AppState) -> Result<StoreHealth, Obstacle> {
    if state.draining.has_begun() {
        return Err(Obstacle::Draining);
    }
    Ok(state.gateway.health().await?)
}

impl Health {
    fn of(status: HealthStatus) -> Self {
        Self {
            status,
            reason: None,
            warnings: Vec::new(),
        }
    }
}
