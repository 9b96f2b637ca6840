//! What a proxy asks, in its own dialect.

use axum::http::{HeaderMap, Method};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ProxyAuth, condition, token};
use crate::gateway::forward_auth::{Conditions, ForwardedRequest, Identity, NotAllowed, Principal};
use crate::model::forward_auth::InvalidCondition;
use crate::model::request::Touch;

#[derive(Debug)]
pub(super) struct ProxyRequest<'a> {
    pub(super) dialect: Dialect,
    /// Its method; that of the client is in a header, if the proxy tells it.
    pub(super) method: &'a Method,
    /// All headers, those of the proxy and those of its client.
    pub(super) headers: &'a HeaderMap,
    pub(super) query: &'a str,
    pub(super) principal: Principal,
    /// Whether a yes counts as use of the session.
    pub(super) touch: Touch,
}

/// The kinds of proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    /// `auth_request`: every status but 2xx, 401 and 403 becomes 500.
    Nginx,
    /// Traefik, Caddy, HAProxy: a denial is handed to the client as it is.
    Forward,
    /// `ext_authz` over HTTP: the path and query are the client's.
    Envoy,
}

impl ProxyRequest<'_> {
    /// Conditions, as far as the operator wrote the query.
    fn conditions(&self) -> Result<Conditions, InvalidCondition> {
        let query = match self.dialect {
            Dialect::Nginx | Dialect::Forward => self.query,
            Dialect::Envoy => "",
        };
        condition::read(self.headers, query)
    }
}

impl ProxyAuth {
    /// Whose request it is, if it may pass.
    pub(super) async fn decide(
        &self,
        proxy_request: &ProxyRequest<'_>,
    ) -> Result<Identity, NotAllowed> {
        let request = ForwardedRequest {
            token: token::read(proxy_request.headers, self.settings.token_cookie.as_ref())?,
            principal: &proxy_request.principal,
            conditions: proxy_request.conditions(),
            touch: proxy_request.touch,
        };
        self.forward_auth.decide(request).await
    }
}
