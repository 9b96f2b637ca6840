//! Sessions: open, read, list, change, refresh, end.

mod bulk;
mod change;
mod life;
mod open;
mod read;

use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::guarded;
use crate::http::extract::{Json, etag};
use crate::http::state::AppState;
use crate::model::permission::Permission;
use crate::model::session::Session;

pub(super) use bulk::EndedSessions;
pub(super) use read::SessionPage;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(guarded(
            Permission::SessionCreate,
            routes!(open::create_session),
        ))
        .merge(guarded(
            Permission::SessionRead,
            routes!(read::list_sessions),
        ))
        .merge(guarded(
            Permission::SessionRead,
            routes!(read::find_session),
        ))
        .merge(guarded(
            Permission::SessionUpdate,
            routes!(change::update_session),
        ))
        .merge(guarded(
            Permission::SessionDelete,
            routes!(change::end_session),
        ))
        .merge(guarded(
            Permission::SessionDelete,
            routes!(bulk::bulk_delete_sessions),
        ))
        .merge(guarded(
            Permission::SessionUpdate,
            routes!(life::refresh_session),
        ))
        .merge(guarded(
            Permission::SessionUpdate,
            routes!(life::heartbeat_session),
        ))
}

fn shown(session: Session) -> Response {
    ([etag(session.version)], Json(session)).into_response()
}
