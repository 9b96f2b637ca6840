//! The metrics of this node. Beside the API only operators are told; a listener of its own (`SGW_METRICS_LISTEN`) tells
//! whoever reaches it.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::Stranger;
use crate::http::auth::Operator;
use crate::http::state::AppState;
use crate::telemetry::metrics::CONTENT_TYPE;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_metrics))
}

/// The same for a listener of its own.
pub(crate) fn routes_apart() -> Router<AppState> {
    Router::new().route("/metrics", get(tell_metrics))
}

/// Metrics of this node
///
/// For Prometheus: anybody on this machine or in a network of `SGW_METRICS_ALLOW`, and services with `service.read`.
/// Counters are those of this node since its start; numbers of sessions that live are those of all nodes.
/// Absent where `SGW_METRICS_LISTEN` gives them a listener of their own.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "health",
    security((), ("basic" = []), ("service_id" = [], "service_secret" = [])),
    responses(
        (status = 200, description = "The metrics", body = String, content_type = "text/plain"),
        Stranger,
    )
)]
async fn get_metrics(_operator: Operator, state: State<AppState>) -> MetricsText {
    tell_metrics(state).await
}

type MetricsText = ([(HeaderName, HeaderValue); 1], String);

async fn tell_metrics(State(state): State<AppState>) -> MetricsText {
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    let text = state.metrics.text().await;
    ([(header::CONTENT_TYPE, content_type)], text)
}
