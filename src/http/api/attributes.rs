//! The attributes of a session: all of them, one of them, and a counter.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::{NotANumber, ReadProblems, WriteProblems};
use crate::entropy::Entropy;
use crate::gateway::Caller;
use crate::http::auth::guarded;
use crate::http::error::ApiError;
use crate::http::extract::{IfMatch, Json, JsonValue, Patch, Path, etag};
use crate::http::state::AppState;
use crate::model::attribute::{AttributeName, AttributePatch, AttributeValue, Attributes};
use crate::model::id::SessionId;
use crate::model::permission::Permission;
use crate::model::record::SessionChange;
use crate::model::session::Session;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(guarded(Permission::AttributeRead, routes!(list_attributes)))
        .merge(guarded(
            Permission::AttributeWrite,
            routes!(merge_attributes),
        ))
        .merge(guarded(Permission::AttributeRead, routes!(find_attribute)))
        .merge(guarded(Permission::AttributeWrite, routes!(put_attribute)))
        .merge(guarded(
            Permission::AttributeWrite,
            routes!(remove_attribute),
        ))
        .merge(guarded(
            Permission::AttributeWrite,
            routes!(increment_attribute),
        ))
}

/// The attributes of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionAttributes {
    /// All of them.
    attributes: Attributes,
    /// The version of the session they belong to.
    version: u64,
}

/// How much to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"by": 1}))]
pub(crate) struct IncrementRequest {
    /// A 64-bit integer, negative to subtract.
    #[schema(example = 1)]
    by: i64,
}

/// What the counter stands at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncrementResponse {
    /// The sum.
    value: i64,
}

/// Read all attributes of a session
#[utoipa::path(
    get, path = "/v1/sessions/{session_id}/attributes", tag = "attributes",
    params(("session_id" = SessionId, Path, description = "The session.")),
    responses(
        (status = 200, description = "The attributes.", body = SessionAttributes,
            headers(("ETag" = String, description = "The version of the session."))),
        ReadProblems,
    ),
)]
async fn list_attributes(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
) -> Result<Response, ApiError> {
    Ok(all_of(state.gateway.find(&caller, session_id).await?))
}

/// Change attributes by a merge patch
///
/// JSON merge patch (RFC 7396): null removes, objects merge, all else replaces; all of it or nothing. Writes of
/// others to other attributes are never lost.
#[utoipa::path(
    patch, path = "/v1/sessions/{session_id}/attributes", tag = "attributes",
    params(("session_id" = SessionId, Path, description = "The session."), IfMatch),
    request_body(content((AttributePatch = "application/json"), (AttributePatch = "application/merge-patch+json"))),
    responses(
        (status = 200, description = "The attributes after it.", body = SessionAttributes,
            headers(("ETag" = String, description = "The version of the session."))),
        WriteProblems,
    ),
)]
async fn merge_attributes(
    State(state): State<AppState>,
    caller: Caller,
    Path(session_id): Path<SessionId>,
    if_match: IfMatch,
    entropy: Entropy,
    Patch(patch): Patch<AttributePatch>,
) -> Result<Response, ApiError> {
    let target = caller.target(session_id, if_match.0, entropy.operation_id());
    let change = SessionChange::MergeAttributes(patch);
    Ok(all_of(state.gateway.change(target, change).await?))
}

/// Read one attribute
#[utoipa::path(
    get, path = "/v1/sessions/{session_id}/attributes/{name}", tag = "attributes",
    params(
        ("session_id" = SessionId, Path, description = "The session."),
        ("name" = AttributeName, Path, description = "The attribute."),
    ),
    responses(
        (status = 200, description = "Its value.", body = AttributeValue,
            headers(("ETag" = String, description = "The version of the session."))),
        ReadProblems,
    ),
)]
async fn find_attribute(
    State(state): State<AppState>,
    caller: Caller,
    Path((session_id, name)): Path<(SessionId, AttributeName)>,
) -> Result<Response, ApiError> {
    let found = state.gateway.find_attribute(&caller, session_id, &name);
    let (value, version) = found.await?;
    Ok(([etag(version)], Json(value)).into_response())
}

/// Set one attribute
///
/// The body is its JSON value; `null` is a value too.
#[utoipa::path(
    put, path = "/v1/sessions/{session_id}/attributes/{name}", tag = "attributes",
    params(
        ("session_id" = SessionId, Path, description = "The session."),
        ("name" = AttributeName, Path, description = "The attribute."),
        IfMatch,
    ),
    request_body = AttributeValue,
    responses(
        (status = 200, description = "Replaced.", body = AttributeValue,
            headers(("ETag" = String, description = "The version of the session."))),
        (status = 201, description = "Added.", body = AttributeValue,
            headers(("ETag" = String, description = "The version of the session."))),
        WriteProblems,
    ),
)]
async fn put_attribute(
    State(state): State<AppState>,
    caller: Caller,
    Path((session_id, name)): Path<(SessionId, AttributeName)>,
    if_match: IfMatch,
    entropy: Entropy,
    JsonValue(value): JsonValue,
) -> Result<Response, ApiError> {
    let target = caller.target(session_id, if_match.0, entropy.operation_id());
    let put = state.gateway.put_attribute(target, &name, value);
    let ((value, version), inserted) = put.await?;
    let status = if inserted {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, [etag(version)], Json(value)).into_response())
}

/// Remove one attribute
#[utoipa::path(
    delete, path = "/v1/sessions/{session_id}/attributes/{name}", tag = "attributes",
    params(
        ("session_id" = SessionId, Path, description = "The session."),
        ("name" = AttributeName, Path, description = "The attribute."),
        IfMatch,
    ),
    responses(
        (status = 204, description = "Removed.",
            headers(("ETag" = String, description = "The version of the session."))),
        WriteProblems,
    ),
)]
async fn remove_attribute(
    State(state): State<AppState>,
    caller: Caller,
    Path((session_id, name)): Path<(SessionId, AttributeName)>,
    if_match: IfMatch,
    entropy: Entropy,
) -> Result<Response, ApiError> {
    let target = caller.target(session_id, if_match.0, entropy.operation_id());
    let change = SessionChange::RemoveAttribute(name);
    let session = state.gateway.change(target, change).await?;
    Ok((StatusCode::NO_CONTENT, [etag(session.version)]).into_response())
}

/// Add to one attribute
///
/// Atomic; a missing attribute starts at 0.
#[utoipa::path(
    post, path = "/v1/sessions/{session_id}/attributes/{name}/increment", tag = "attributes",
    params(
        ("session_id" = SessionId, Path, description = "The session."),
        ("name" = AttributeName, Path, description = "The attribute."),
        IfMatch,
    ),
    request_body = IncrementRequest,
    extensions(("x-idempotency" = json!("kept"))),
    responses(
        (status = 200, description = "The sum.", body = IncrementResponse,
            headers(("ETag" = String, description = "The version of the session."))),
        NotANumber,
        WriteProblems,
    ),
)]
async fn increment_attribute(
    State(state): State<AppState>,
    caller: Caller,
    Path((session_id, name)): Path<(SessionId, AttributeName)>,
    if_match: IfMatch,
    entropy: Entropy,
    Json(request): Json<IncrementRequest>,
) -> Result<Response, ApiError> {
    let target = caller.target(session_id, if_match.0, entropy.operation_id());
    let sum = state.gateway.increment_attribute(target, &name, request.by);
    let (value, version) = sum.await?;
    Ok(([etag(version)], Json(IncrementResponse { value })).into_response())
}

fn all_of(session: Session) -> Response {
    let body = SessionAttributes {
        attributes: session.attributes,
        version: session.version,
    };
    ([etag(session.version)], Json(body)).into_response()
}
