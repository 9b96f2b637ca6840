//! The route tree, and the layers around it.
//!
//! The middleware stands around every route. On `/v1` the service is authenticated behind the routing, so that unknown
//! paths are 404 for everybody.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower::layer::layer_fn;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::http::api;
use crate::http::auth::authenticate;
use crate::http::middleware::{Middleware, RequestWatcher, not_allowed, not_found};
use crate::http::openapi;
use crate::http::proxy;
use crate::http::state::AppState;

/// The whole application, with its metrics.
pub fn app(state: AppState) -> Router {
    serve_all(documented, state)
}

/// The application, and its metrics apart from it.
pub fn app_and_metrics(state: AppState) -> (Router, Router) {
    let metrics = api::metrics::routes_apart().with_state(state.clone());
    let metrics = with_middleware(metrics, &state.watcher());
    (serve_all(documented_without_metrics, state), metrics)
}

type Document = fn(OpenApiRouter<AppState>) -> OpenApiRouter<AppState>;

fn serve_all(documented: Document, state: AppState) -> Router {
    let watcher = state.watcher();
    let authenticated = from_fn_with_state(Arc::clone(&state.gateway.authenticator), authenticate);
    let documented = documented(services_api().route_layer(authenticated));
    let (routes, document) = documented.split_for_parts();
    let document = openapi::whole(document);
    let routes = routes.merge(openapi::routes(&document)).with_state(state);
    with_middleware(routes, &watcher)
}

/// The document of the API, made from the routes as they are built.
#[must_use]
pub fn openapi_document() -> OpenApi {
    openapi::whole(documented(services_api()).into_openapi())
}

fn services_api() -> OpenApiRouter<AppState> {
    api::routes().merge(proxy::explain_routes())
}

fn documented(services_api: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    documented_without_metrics(services_api).merge(api::metrics::routes())
}

fn documented_without_metrics(services_api: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::description())
        .merge(services_api)
        .merge(proxy::routes())
        .merge(api::health::routes())
}

/// Puts around routes what holds for every request.
pub fn with_middleware(routes: Router, watcher: &RequestWatcher) -> Router {
    let watcher = watcher.clone();
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(layer_fn(move |route| Middleware::new(route, &watcher)))
}
