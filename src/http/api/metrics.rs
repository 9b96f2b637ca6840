//! The metrics of this node. Nobody is asked for credentials: `SGW_METRICS_LISTEN` is for those who want them apart.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::state::AppState;
use crate::telemetry::metrics::CONTENT_TYPE;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(get_metrics))
}

/// Metrics of this node
///
/// For Prometheus. Counters are those of this node since its start; numbers of sessions that live are those of all nodes.
/// Absent where `SGW_METRICS_LISTEN` gives them a listener of their own.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "health",
    security(()),
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain"))
)]
async fn get_metrics(State(state): State<AppState>) -> ([(HeaderName, HeaderValue); 1], String) {
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    let text = state.metrics.text().await;
    ([(header::CONTENT_TYPE, content_type)], text)
}
