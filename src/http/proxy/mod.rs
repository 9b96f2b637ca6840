//! Reverse proxies ask here, on every request of their clients, whether it may pass (`/auth/*`).
//!
//! One decision stands behind all dialects; what differs is how it is asked for and told. Whatever the path, the query
//! or the body, the answer is 200, 401, 403 or 503 (or 302 where a browser can be sent to a login page): nginx would
//! turn any other into 500. Unknown is 503, never 401. What lets more pass is part of the path: queries and headers may
//! be a client's.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRef, Request, State};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;

use crate::gateway::auth::Authenticator;
use crate::gateway::forward_auth::{ForwardAuth, NotAllowed, Principal};
use crate::http::auth::{Proof, peer, presented_pair};
use crate::model::forward_auth::{Denial, InvalidCondition};
use crate::model::request::Touch;

mod answer;
mod candidates;
mod condition;
mod document;
mod explain;
mod identity;
mod login;
mod proxy_request;
mod rate_limited_log;
mod setting_text;
mod settings;

pub(crate) use explain::routes as explain_routes;
pub use identity::Exports;
pub use setting_text::InvalidProxySetting;
pub use settings::{ExternalTokens, LoginOrigins, ProxySettings, TokenCookie};

use document::{Answers, HeaderConditions, LoginPage, QueryConditions};
use proxy_request::{Admitted, Dialect, ProxyRequest, Widening};
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

    /// Whether a user's token may come in a cookie.
    pub(crate) fn reads_a_cookie(&self) -> bool {
        self.settings.token_cookie.is_some()
    }
}

/// `/auth/*`, for any method.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Arc<ProxyAuth>: FromRef<S>,
{
    let routes = OpenApiRouter::with_openapi(document::description());
    let routes = Widening::ALL.into_iter().fold(routes, |routes, widening| {
        let suffix = widening.suffix();
        let envoy = format!("/auth/envoy{suffix}");
        let below = format!("{envoy}/{{*path}}");
        let routes = asked_at(
            routes,
            &format!("/auth/nginx{suffix}"),
            ask_by_nginx,
            widening,
        );
        let routes = asked_at(
            routes,
            &format!("/auth/forward{suffix}"),
            ask_by_forward,
            widening,
        );
        asked_at(routes, &envoy, ask_by_envoy, widening)
            .route(&below, any(ask_by_envoy.layer(Extension(widening))))
    });
    routes
        .route("/auth/", any(ask_nowhere))
        .route("/auth/{*path}", any(ask_nowhere))
}

/// With or without a slash at its end: proxies put paths together in their own ways.
fn asked_at<S, H, T>(
    routes: OpenApiRouter<S>,
    path: &str,
    handler: H,
    widening: Widening,
) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    let answers = any(handler.layer(Extension(widening)));
    routes
        .route(path, answers.clone())
        .route(&format!("{path}/"), answers)
}

/// Ask for nginx
///
/// For `auth_request`. Any method is answered like this one; a body is never looked at.
#[utoipa::path(
    get, path = "/auth/nginx", tag = "proxies", params(QueryConditions),
    responses(Answers), security((), ("service_id" = [], "service_secret" = [])),
)]
async fn ask_by_nginx(
    State(proxy_auth): State<Arc<ProxyAuth>>,
    Extension(widening): Extension<Widening>,
    request: Request,
) -> Response {
    proxy_auth.ask(Dialect::Nginx, widening, request).await
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
async fn ask_by_forward(
    State(proxy_auth): State<Arc<ProxyAuth>>,
    Extension(widening): Extension<Widening>,
    request: Request,
) -> Response {
    proxy_auth.ask(Dialect::Forward, widening, request).await
}

/// Ask for Envoy
///
/// For `ext_authz` over HTTP. Every path below this one and any method is answered like this one; path and query are
/// the client's and are not looked at, nor is a body.
#[utoipa::path(
    get, path = "/auth/envoy", tag = "proxies", params(HeaderConditions),
    responses(Answers), security((), ("service_id" = [], "service_secret" = [])),
)]
async fn ask_by_envoy(
    State(proxy_auth): State<Arc<ProxyAuth>>,
    Extension(widening): Extension<Widening>,
    request: Request,
) -> Response {
    proxy_auth.ask(Dialect::Envoy, widening, request).await
}

/// No proxy can tell its operator of a 404.
async fn ask_nowhere(State(proxy_auth): State<Arc<ProxyAuth>>, request: Request) -> Response {
    let (head, _body) = request.into_parts();
    let denial = Denial::from(InvalidCondition::Path);
    let response = answer::denied(&denial);
    let outcome = Err(NotAllowed::Denied(denial));
    proxy_auth
        .rate_limited_log
        .hear(&principal(&head), &outcome);
    response
}

impl ProxyAuth {
    async fn ask(&self, dialect: Dialect, widening: Widening, request: Request) -> Response {
        let (head, _body) = request.into_parts();
        let proxy_request = ProxyRequest {
            dialect,
            widening,
            method: &head.method,
            headers: &head.headers,
            query: head.uri.query().unwrap_or_default(),
            principal: principal(&head),
            touch: Touch::Yes,
        };
        let outcome = self.decide(&proxy_request).await.outcome;
        if let Ok(Admitted::User(_)) = outcome {
            Proof::give(&head.extensions);
        }
        self.rate_limited_log
            .hear(&proxy_request.principal, &outcome);
        self.answer(&proxy_request, &outcome).await
    }
}

fn principal(head: &Parts) -> Principal {
    Principal::Peer {
        address: peer(&head.extensions),
        // `Authorization` is not looked at: it is the end user's.
        presented: presented_pair(&head.headers),
    }
}
