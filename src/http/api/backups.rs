//! Backups of the store.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::NoBackup;
use crate::gateway::Caller;
use crate::http::auth::open_to_any;
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// A file to keep as it is, also for clients that would read lines of JSON.
const FILE: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    open_to_any(routes!(create_backup))
}

/// Back the store up
///
/// For `session-gateway backup`, by a service with the permission `*`: everything that is stored, with hashes of secrets
/// and keys, as it was at one moment, while all goes on. Each line is a JSON object. The last one tells how many records
/// there are and the SHA-256 of all lines before it; one without it is not whole. One backup is made at a time.
#[utoipa::path(
    post, path = "/v1/backups", operation_id = "create_backup", tag = "health",
    extensions(("x-idempotency" = json!("refused"))),
    responses(
        (status = 200, description = "The backup.", body = String, content_type = "application/octet-stream"),
        NoBackup,
    ),
)]
async fn create_backup(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let pieces = state.gateway.back_up(&caller).await?;
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let content_type = [(header::CONTENT_TYPE, FILE)];
    Ok((content_type, Body::from_stream(pieces)).into_response())
}
