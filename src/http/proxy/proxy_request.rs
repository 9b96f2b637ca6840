//! What a proxy asks, in its own dialect.

use axum::http::{HeaderMap, Method, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::login::{FORWARDED_METHOD, ORIGINAL_METHOD, single};
use super::{ProxyAuth, candidates, condition};
use crate::gateway::forward_auth::{ForwardedRequest, Identity, NotAllowed, Principal};
use crate::model::forward_auth::{TokenOutcome, TokenPlace};
use crate::model::request::Touch;

#[derive(Debug)]
pub(super) struct ProxyRequest<'a> {
    pub(super) dialect: Dialect,
    pub(super) widening: Widening,
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

/// What lets a request pass without a user. Only a path says so, which only an operator writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Widening {
    /// Nothing.
    #[default]
    None,
    /// Not to be logged in: the app learns that it is nobody.
    Optional,
    /// To be a preflight of CORS, which no browser sends with a token.
    Preflight,
    /// Either.
    OptionalPreflight,
}

impl Widening {
    pub(super) const ALL: [Self; 4] = [
        Self::None,
        Self::Optional,
        Self::Preflight,
        Self::OptionalPreflight,
    ];

    /// How it ends a path.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Optional => "-optional",
            Self::Preflight => "-preflight",
            Self::OptionalPreflight => "-optional-preflight",
        }
    }

    pub(super) fn lets_nobody_pass(self) -> bool {
        matches!(self, Self::Optional | Self::OptionalPreflight)
    }

    fn lets_preflights_pass(self) -> bool {
        matches!(self, Self::Preflight | Self::OptionalPreflight)
    }
}

/// Who passes.
#[derive(Debug)]
pub(super) enum Admitted {
    User(Identity),
    /// A preflight, whoever sends it.
    Preflight,
}

/// Whether a request passes, and what became of its tokens.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) outcome: Result<Admitted, NotAllowed>,
    pub(super) tokens: Vec<(TokenPlace, TokenOutcome)>,
}

impl From<Result<Admitted, NotAllowed>> for Decision {
    /// Before any token was looked for.
    fn from(outcome: Result<Admitted, NotAllowed>) -> Self {
        Self {
            outcome,
            tokens: Vec::new(),
        }
    }
}

impl ProxyRequest<'_> {
    /// The query, as far as the operator wrote it.
    fn operators_query(&self) -> &str {
        match self.dialect {
            Dialect::Nginx | Dialect::Forward => self.query,
            Dialect::Envoy => "",
        }
    }

    /// Whether a browser asks here what it may ask. A claim of the client that the proxy does not overwrite stands twice,
    /// and counts for nothing.
    fn is_preflight(&self) -> bool {
        let told = match self.dialect {
            Dialect::Nginx => single(self.headers, &ORIGINAL_METHOD),
            Dialect::Forward => single(self.headers, &FORWARDED_METHOD),
            Dialect::Envoy => Some(self.method.as_str()),
        };
        told == Some(Method::OPTIONS.as_str())
            && self.headers.contains_key(header::ORIGIN)
            && self
                .headers
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }
}

impl ProxyAuth {
    /// Whether a request passes, and whose it is.
    pub(super) async fn decide(&self, proxy_request: &ProxyRequest<'_>) -> Decision {
        let query = proxy_request.operators_query();
        let places = match condition::token_places(proxy_request.headers, query) {
            Ok(places) => places,
            Err(invalid) => return Err(invalid.into()).into(),
        };
        if proxy_request.widening.lets_preflights_pass() && proxy_request.is_preflight() {
            return Ok(Admitted::Preflight).into();
        }
        let candidates = match candidates::read(proxy_request.headers, &places, &self.settings) {
            Ok(candidates) => candidates,
            Err(denial) => return Err(denial.into()).into(),
        };
        let request = ForwardedRequest {
            candidates,
            principal: &proxy_request.principal,
            conditions: condition::read(proxy_request.headers, query),
            touch: proxy_request.touch,
        };
        let decision = self.forward_auth.decide(request).await;
        Decision {
            outcome: decision.outcome.map(Admitted::User),
            tokens: decision.tokens,
        }
    }
}
