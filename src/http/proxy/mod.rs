//! Reverse proxies ask here, on every request of their clients, whether it may pass (`/auth/*`).
//!
//! One decision stands behind all dialects; what differs is how it is asked for and told. Whatever the path, the query
//! or the body, the answer is 200, 401, 403 or 503 (or 302 where a browser can be sent to a login page): nginx would
//! turn any other into 500. Unknown is 503, never 401.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;

use crate::gateway::auth::Authenticator;
use crate::gateway::forward_auth::{ForwardAuth, Principal};
use crate::http::auth::{Proof, peer, presented_pair};
use crate::model::request::Touch;

mod answer;
mod condition;
mod document;
mod explain;
mod identity;
mod login;
mod proxy_request;
mod rate_limited_log;
mod setting_text;
mod settings;
mod token;

pub(crate) use explain::routes as explain_routes;
pub use identity::Exports;
pub use setting_text::InvalidProxySetting;
pub use settings::{LoginOrigins, ProxySettings, TokenCookie};

use document::{Answers, HeaderConditions, LoginPage, QueryConditions};
use proxy_request::{Dialect, ProxyRequest};
use rate_limited_log::RateLimitedLog;

/// What it takes to ask for a decision and to tell it.
#[derive(Debug)]
pub struct ProxyAuth {
    forward_auth: ForwardAuth,
    settings: ProxySettings,
    rate_limited_log: RateLimitedLog,
}

impl ProxyAuth {
    /// Decides over the stores of this authenticator.
    #[must_use]
    pub fn new(authenticator: Arc<Authenticator>, settings: ProxySettings) -> Self {
        Self {
            forward_auth: ForwardAuth::new(
                authenticator,
                settings.trusted.clone(),
                settings.store_deadline,
            ),
            settings,
            rate_limited_log: RateLimitedLog::default(),
        }
    }
}

/// `/auth/*`, for any method.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Arc<ProxyAuth>: FromRef<S>,
{
    OpenApiRouter::with_openapi(document::description())
        .route("/auth/nginx", any(ask_by_nginx))
        .route("/auth/forward", any(ask_by_forward))
        .route("/auth/envoy", any(ask_by_envoy))
        .route("/auth/envoy/", any(ask_by_envoy))
        .route("/auth/envoy/{*path}", any(ask_by_envoy))
}

/// Ask for nginx
///
/// For `auth_request`. Any method is answered like this one; a body is never looked at.
#[utoipa::path(
    get, path = "/auth/nginx", tag = "proxies", params(QueryConditions),
    responses(Answers), security((), ("service_id" = [], "service_secret" = [])),
)]
async fn ask_by_nginx(State(proxy_auth): State<Arc<ProxyAuth>>, request: Request) -> Response {
    proxy_auth.ask(Dialect::Nginx, request).await
}

/// Ask for Traefik, Caddy or HAProxy
///
/// For `ForwardAuth`, `forward_auth` and their like. Any method is answered like this one; a body is never looked at.
#[utoipa::path(
    get, path = "/auth/forward", tag = "proxies", params(QueryConditions, LoginPage),
    responses(
        Answers,
        (status = 302, description = "A browser without a good token, sent to `login_url`.",
            headers(("Location" = String, description = "The page, with the original URL in `return_to`."))),
    ),
    security((), ("service_id" = [], "service_secret" = [])),
)]
async fn ask_by_forward(State(proxy_auth): State<Arc<ProxyAuth>>, request: Request) -> Response {
    proxy_auth.ask(Dialect::Forward, request).await
}

/// Ask for Envoy
///
/// For `ext_authz` over HTTP. Every path below this one and any method is answered like this one; path and query are
/// the client's and are not looked at, nor is a body.
#[utoipa::path(
    get, path = "/auth/envoy", tag = "proxies", params(HeaderConditions),
    responses(Answers), security((), ("service_id" = [], "service_secret" = [])),
)]
async fn ask_by_envoy(State(proxy_auth): State<Arc<ProxyAuth>>, request: Request) -> Response {
    proxy_auth.ask(Dialect::Envoy, request).await
}

impl ProxyAuth {
    async fn ask(&self, dialect: Dialect, request: Request) -> Response {
        let (head, _body) = request.into_parts();
        let proxy_request = ProxyRequest {
            dialect,
            method: &head.method,
            headers: &head.headers,
            query: head.uri.query().unwrap_or_default(),
            principal: Principal::Peer {
                address: peer(&head.extensions),
                // `Authorization` is not looked at: it is the end user's.
                presented: presented_pair(&head.headers),
            },
            touch: Touch::Yes,
        };
        let decision = self.decide(&proxy_request).await;
        if decision.is_ok() {
            Proof::give(&head.extensions);
        }
        self.rate_limited_log.hear(&proxy_request, &decision);
        self.answer(&proxy_request, &decision).await
    }
}
