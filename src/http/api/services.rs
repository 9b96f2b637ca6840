//! Services: the callers of the gateway register, read, change and remove each other here.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::PageQuery;
use super::limit::LimitRequest;
use super::problems::{BuiltIn, SecretConfigured, ServiceExists, UnknownService};
use super::quotas::QuotasRequest;
use crate::entropy::Entropy;
use crate::gateway::{Caller, RegisterService, SecretBefore};
use crate::http::auth::{guarded, open_to_any};
use crate::http::error::ApiError;
use crate::http::extract::{
    Json, OptionalJson, Patch, Path, Query, given, location, optional_object,
};
use crate::http::idempotency::{Repeated, rebuildable};
use crate::http::state::AppState;
use crate::model::id::ServiceId;
use crate::model::limit::SessionLimit;
use crate::model::page::{Page, SealedCursor};
use crate::model::permission::{NewPermissions, Permission, Permissions};
use crate::model::quota::QuotaChange;
use crate::model::record::Field;
use crate::model::service::{Service, ServiceName, ServiceUpdate};
use crate::model::token::ServiceSecret;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let read = Permission::ServiceRead;
    let manage = Permission::ServiceManage;
    OpenApiRouter::default()
        .merge(guarded(manage, routes!(register_service)))
        .merge(guarded(read, routes!(list_services)))
        .merge(guarded(read, routes!(find_service)))
        .merge(guarded(manage, routes!(update_service, remove_service)))
        .merge(guarded(manage, routes!(rotate_service_secret)))
        .merge(open_to_any(routes!(find_caller)))
}

/// A service to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "service_id": "api-gateway",
    "service_name": "API gateway",
    "permissions": ["session.*", "attribute.*", "token.verify"],
}))]
struct RegisterServiceRequest {
    /// Its id, for good.
    service_id: ServiceId,
    /// What people call it.
    service_name: ServiceName,
    /// What it may do; `GET /v1/permissions` lists what there is.
    #[schema(value_type = Permissions)]
    permissions: NewPermissions,
    /// Its secret; the gateway makes one if it is left out.
    #[serde(default)]
    secret: Option<ServiceSecret>,
    /// How many sessions a login may have when it opens one; the server's `SGW_LOGIN_MAX_SESSIONS` if left out.
    #[serde(default, deserialize_with = "optional_object")]
    session_limit: Option<LimitRequest>,
    /// How much it may take of what all services share, where that is not the server's `SGW_SERVICE_MAX_…`.
    #[serde(default, deserialize_with = "optional_object")]
    quotas: Option<QuotasRequest>,
}

/// A change of a service; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"permissions": ["session.read"], "enabled": true}))]
struct UpdateServiceRequest {
    /// The new name.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    service_name: Option<ServiceName>,
    /// The new permissions, which replace the old ones.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Permissions>, nullable = false)]
    permissions: Option<NewPermissions>,
    /// A disabled service is answered like an unknown one.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// How many sessions a login may have when it opens one; null is the server's `SGW_LOGIN_MAX_SESSIONS`.
    #[serde(default, deserialize_with = "field_object")]
    #[schema(value_type = Option<LimitRequest>)]
    session_limit: Field<LimitRequest>,
    /// How much it may take; what is left out stays, null is the server's `SGW_SERVICE_MAX_…`.
    #[serde(default, deserialize_with = "field_object")]
    #[schema(value_type = Option<QuotasRequest>)]
    quotas: Field<QuotasRequest>,
}

/// How a secret is to be rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"grace_seconds": 3600}))]
struct RotateSecretRequest {
    /// How long the old secret stays good: up to 30 days, not at all if left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_592_000, required = false)]
    grace_seconds: u64,
}

/// A service with its secret, which is shown in this answer only.
#[derive(Debug, Serialize, ToSchema)]
struct ServiceCredentials {
    /// The service.
    service: Service,
    /// Its secret.
    secret: ServiceSecret,
}

/// A page of services in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
struct ServicePage {
    /// The services.
    items: Vec<Service>,
    /// Where to go on; null ends the list.
    #[schema(required = true)]
    next_cursor: Option<SealedCursor>,
}

impl From<Page<Service, SealedCursor>> for ServicePage {
    fn from(page: Page<Service, SealedCursor>) -> Self {
        Self {
            items: page.items,
            next_cursor: page.next,
        }
    }
}

/// Register a service
///
/// The secret is made by the gateway unless one is given. It is stored as a hash and shown in this answer only.
#[utoipa::path(
    post,
    path = "/v1/services",
    operation_id = "register_service",
    tag = "services",
    request_body = RegisterServiceRequest,
    extensions(("x-idempotency" = json!("rebuilt"))),
    responses(
        (status = 201, description = "The service and its secret.", body = ServiceCredentials,
            headers(("Location" = String, description = "The path of the service."))),
        ServiceExists,
    ),
)]
async fn register_service(
    State(state): State<AppState>,
    caller: Caller,
    entropy: Entropy,
    repeated: Repeated<SecretBefore>,
    Json(request): Json<RegisterServiceRequest>,
) -> Result<Response, ApiError> {
    let gateway = &state.gateway;
    let (service, secret) = if let Some(before) = repeated.0 {
        gateway.secret_before(before).await?
    } else {
        let asked = request.parse();
        gateway.register_service(&caller, &entropy, asked).await?
    };
    let location = location(&format!("/v1/services/{}", service.service_id))?;
    let remains = SecretBefore::of(&service, &secret);
    let credentials = Json(ServiceCredentials { service, secret });
    rebuildable(&remains, (StatusCode::CREATED, [location], credentials))
}

impl RegisterServiceRequest {
    fn parse(self) -> RegisterService {
        RegisterService {
            service_id: self.service_id,
            service_name: self.service_name,
            permissions: self.permissions.into(),
            secret: self.secret,
            session_limit: self.session_limit.map(SessionLimit::from),
            quotas: self.quotas.map(QuotasRequest::given).unwrap_or_default(),
        }
    }
}

/// List the services
#[utoipa::path(
    get,
    path = "/v1/services",
    operation_id = "list_services",
    tag = "services",
    params(PageQuery),
    responses((status = 200, description = "A page of services.", body = ServicePage)),
)]
async fn list_services(
    State(state): State<AppState>,
    caller: Caller,
    Query(list): Query<PageQuery>,
) -> Result<Json<ServicePage>, ApiError> {
    let page = state
        .gateway
        .list_services(&caller, list.limit, list.cursor.as_ref());
    Ok(Json(page.await?.into()))
}

/// Find a service
#[utoipa::path(
    get,
    path = "/v1/services/{service_id}",
    operation_id = "find_service",
    tag = "services",
    params(("service_id" = ServiceId, Path, description = "The id of the service.")),
    responses(
        (status = 200, description = "The service, without its secret.", body = Service),
        UnknownService,
    ),
)]
async fn find_service(
    State(state): State<AppState>,
    Path(service_id): Path<ServiceId>,
) -> Result<Json<Service>, ApiError> {
    Ok(Json(state.gateway.find_service(&service_id).await?))
}

/// Change a service
///
/// Its name, its permissions, and whether it is enabled. Every node knows within `SGW_CACHE_MAX_STALENESS`.
#[utoipa::path(
    patch,
    path = "/v1/services/{service_id}",
    operation_id = "update_service",
    tag = "services",
    params(("service_id" = ServiceId, Path, description = "The id of the service.")),
    request_body(content(
        (UpdateServiceRequest = "application/json"),
        (UpdateServiceRequest = "application/merge-patch+json"),
    )),
    responses(
        (status = 200, description = "The service after the change.", body = Service),
        UnknownService,
        BuiltIn,
    ),
)]
async fn update_service(
    State(state): State<AppState>,
    caller: Caller,
    Path(service_id): Path<ServiceId>,
    Patch(request): Patch<UpdateServiceRequest>,
) -> Result<Json<Service>, ApiError> {
    let update = ServiceUpdate {
        service_name: request.service_name,
        permissions: request.permissions.map(Permissions::from),
        enabled: request.enabled,
        session_limit: request.session_limit.map(SessionLimit::from),
        quotas: request.quotas.map(QuotaChange::from),
    };
    let updated = state.gateway.update_service(&caller, &service_id, update);
    Ok(Json(updated.await?))
}

/// Remove a service
#[utoipa::path(
    delete,
    path = "/v1/services/{service_id}",
    operation_id = "remove_service",
    tag = "services",
    params(("service_id" = ServiceId, Path, description = "The id of the service.")),
    responses(
        (status = 204, description = "The service is removed."),
        UnknownService,
        BuiltIn,
    ),
)]
async fn remove_service(
    State(state): State<AppState>,
    caller: Caller,
    Path(service_id): Path<ServiceId>,
) -> Result<StatusCode, ApiError> {
    state.gateway.remove_service(&caller, &service_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate the secret of a service
///
/// The old secret stays good until the grace is over; any older one does not.
#[utoipa::path(
    post,
    path = "/v1/services/{service_id}/rotate-secret",
    operation_id = "rotate_service_secret",
    tag = "services",
    params(("service_id" = ServiceId, Path, description = "The id of the service.")),
    request_body = Option<RotateSecretRequest>,
    extensions(("x-idempotency" = json!("rebuilt"))),
    responses(
        (status = 200, description = "The service and its new secret.", body = ServiceCredentials),
        UnknownService,
        SecretConfigured,
    ),
)]
async fn rotate_service_secret(
    State(state): State<AppState>,
    caller: Caller,
    entropy: Entropy,
    repeated: Repeated<SecretBefore>,
    Path(service_id): Path<ServiceId>,
    OptionalJson(request): OptionalJson<RotateSecretRequest>,
) -> Result<Response, ApiError> {
    let gateway = &state.gateway;
    let (service, secret) = if let Some(before) = repeated.0 {
        gateway.secret_before(before).await?
    } else {
        let grace = Duration::from_secs(request.grace_seconds);
        let rotated = gateway.rotate_service_secret(&caller, &entropy, &service_id, grace);
        rotated.await?
    };
    let remains = SecretBefore::of(&service, &secret);
    rebuildable(&remains, Json(ServiceCredentials { service, secret }))
}

/// Tell which service is calling
#[utoipa::path(
    get,
    path = "/v1/whoami",
    operation_id = "find_caller",
    tag = "services",
    responses((status = 200, description = "The calling service.", body = Service)),
)]
async fn find_caller(caller: Caller) -> Json<Service> {
    Json(caller.service)
}

fn field_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Field<T>, D::Error> {
    let given = optional_object(deserializer)?;
    Ok(given.map_or(Field::Clear, Field::Set))
}
