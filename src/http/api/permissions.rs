//! Permissions: what services can be given.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::open_to_any;
use crate::http::extract::Json;
use crate::http::state::AppState;
use crate::model::permission::Permission;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    open_to_any(routes!(list_permissions))
}

/// The permissions there are.
#[derive(Debug, Serialize, ToSchema)]
struct PermissionList {
    /// All that a service can be given.
    items: Vec<PermissionAbout>,
}

/// One permission.
#[derive(Debug, Serialize, ToSchema)]
struct PermissionAbout {
    /// Its name.
    #[schema(value_type = Permission)]
    permission: &'static str,
    /// What it allows.
    description: &'static str,
    /// Whether `:own` may narrow it to sessions that the service opened itself.
    can_be_own: bool,
}

/// List the permissions
///
/// All that a service can be given; `resource.*` and `*` stand for many.
#[utoipa::path(
    get,
    path = "/v1/permissions",
    operation_id = "list_permissions",
    tag = "services",
    responses((status = 200, description = "The permissions, each with a sentence.", body = PermissionList)),
)]
async fn list_permissions() -> Json<PermissionList> {
    let items = Permission::ALL.iter().map(|permission| PermissionAbout {
        permission: permission.as_str(),
        description: permission.about(),
        can_be_own: permission.can_be_own(),
    });
    Json(PermissionList {
        items: items.collect(),
    })
}
