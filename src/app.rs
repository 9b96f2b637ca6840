//! The route tree, and the only place that orders layers.
//!
//! From the outside in: name the request and write its errors, catch panics, limit the head, then the routes. On
//! `/v1` the service is authenticated behind the routing, so that unknown paths are 404 for everybody.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::api;
use crate::auth::authenticate;
use crate::edge::{answer_panic, finish, limit_head, not_allowed, not_found};
use crate::openapi;
use crate::proxy;
use crate::state::AppState;

/// The whole application.
pub fn app(state: AppState) -> Router {
    let authenticated = from_fn_with_state(Arc::clone(&state.authenticator), authenticate);
    let documented = documented(services_api().route_layer(authenticated));
    let (routes, document) = documented.split_for_parts();
    with_edge(routes.merge(openapi::routes(&document)).with_state(state))
}

/// The document of the API, made from the routes as they are built.
#[must_use]
pub fn openapi_document() -> OpenApi {
    documented(services_api()).into_openapi()
}

/// All of `/v1`.
fn services_api() -> OpenApiRouter<AppState> {
    api::routes().merge(proxy::explain_routes())
}

fn documented(services_api: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::description())
        .merge(services_api)
        .merge(proxy::routes())
        .merge(api::health::routes())
}

/// Puts the layers around routes that hold for every request.
pub fn with_edge(routes: Router) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn(limit_head))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn(finish))
}
