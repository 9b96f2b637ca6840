//! Tells an operator what a proxy would be told, and why. The same code decides; nothing is changed, and no token is
//! repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::ProxyAuth;
use super::login::{
    FORWARDED_HOST, FORWARDED_METHOD, FORWARDED_PROTO, FORWARDED_URI, ORIGINAL_METHOD,
};
use super::proxy_request::{Admitted, Decision, Dialect, ProxyRequest, Widening};
use crate::gateway::auth::Caller;
use crate::gateway::forward_auth::{NotAllowed, Principal};
use crate::http::auth::guarded;
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::model::forward_auth::{Check, TokenOutcome, TokenPlace};
use crate::model::permission::Permission;
use crate::model::request::Touch;

pub(crate) fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Arc<ProxyAuth>: FromRef<S>,
{
    guarded(Permission::TokenVerify, routes!(explain_decision))
}

/// A request of a client, and the proxy that would ask about it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "proxy": "nginx", "token": "sgw_…", "query": "require=role:admin&device=web",
}))]
pub(crate) struct ExplainRequest {
    /// What the user presents as `Authorization: Bearer`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    token: Option<Zeroizing<String>>,
    /// The kind of proxy.
    #[serde(deserialize_with = "crate::http::extract::word")]
    proxy: Dialect,
    /// What stands behind that in the path, as `optional` in `/auth/nginx-optional`; `none` if it is left out.
    #[serde(default, deserialize_with = "crate::http::extract::word")]
    #[schema(required = false)]
    lets_pass: Widening,
    /// The client's method; `GET` if it is left out.
    #[serde(default)]
    method: Option<String>,
    /// The client's URL.
    #[serde(default)]
    url: Option<String>,
    /// Other headers, by name: the client's, and conditions of the proxy.
    #[serde(default)]
    #[schema(required = false)]
    headers: BTreeMap<String, String>,
    /// The query of the proxy's question, with its conditions.
    #[serde(default)]
    query: Option<String>,
}

/// What the proxy would be told, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The status.
    #[schema(example = 403)]
    status: u16,
    /// `X-Auth-Reason`; null where there is none.
    #[schema(required = true, example = "requirement_not_met")]
    reason: Option<&'static str>,
    /// The headers, names in small letters.
    headers: BTreeMap<String, String>,
    /// Every check, in the order in which they are made.
    checks: Vec<CheckResult>,
    /// What may be the user's token, in the order in which it counts.
    candidates: Vec<CandidateResult>,
}

/// What became of one token that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CandidateResult {
    /// Where it stands.
    from: TokenPlace,
    /// What became of it.
    outcome: TokenOutcome,
}

/// How one check went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckResult {
    /// What was checked.
    check: Check,
    /// How it went.
    outcome: Outcome,
    /// In words.
    detail: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It stands against nothing.
    Passed,
    /// It decides the answer.
    Failed,
    /// The store does not know.
    Unknown,
    /// An earlier check had decided.
    NotReached,
}

/// Explain a decision
///
/// What `/auth/*` would answer a proxy about this request, by the same rules. The caller is taken for the proxy. Nothing
/// is changed, and this is no use of the session.
#[utoipa::path(
    post, path = "/v1/auth/explain", tag = "proxies", request_body = ExplainRequest,
    responses((status = 200, description = "What the proxy would be told, and why.", body = Explanation)),
)]
async fn explain_decision(
    State(proxy_auth): State<Arc<ProxyAuth>>,
    _caller: Caller,
    Json(request): Json<ExplainRequest>,
) -> Result<Json<Explanation>, ApiError> {
    let headers = request.head()?;
    let method = request.method()?.unwrap_or_default();
    let proxy_request = ProxyRequest {
        dialect: request.proxy,
        widening: request.lets_pass,
        method: &method,
        headers: &headers,
        query: request.query.as_deref().unwrap_or_default(),
        principal: Principal::Service,
        touch: Touch::Look,
    };
    let decision = proxy_auth.decide(&proxy_request).await;
    let response = proxy_auth.answer(&proxy_request, &decision.outcome).await;
    Ok(Json(Explanation::of(decision, &response)))
}

impl ExplainRequest {
    /// The headers as the proxy would send them.
    fn head(&self) -> Result<HeaderMap, ApiError> {
        let mut head = HeaderMap::new();
        for (name, value) in &self.headers {
            let wrong =
                || ApiError::invalid_field("headers", "must be names and values of HTTP headers");
            let name = HeaderName::try_from(name).map_err(|_invalid| wrong())?;
            let value = HeaderValue::from_bytes(value.as_bytes());
            head.append(name, value.map_err(|_invalid| wrong())?);
        }
        if let Some(token) = &self.token {
            let bearer = Zeroizing::new(format!("Bearer {}", token.as_str()));
            let value = HeaderValue::from_bytes(bearer.as_bytes());
            let value = value
                .map_err(|_invalid| ApiError::invalid_field("token", "cannot stand in a header"))?;
            head.append(header::AUTHORIZATION, value);
        }
        self.add_original(&mut head)?;
        Ok(head)
    }

    fn method(&self) -> Result<Option<Method>, ApiError> {
        let method = self
            .method
            .as_ref()
            .map(|method| Method::from_bytes(method.as_bytes()));
        let method = method.transpose();
        method.map_err(|_invalid| ApiError::invalid_field("method", "must be an HTTP method"))
    }

    fn add_original(&self, head: &mut HeaderMap) -> Result<(), ApiError> {
        if let Some(method) = self.method()? {
            let method = text(method.as_str(), "method")?;
            head.insert(FORWARDED_METHOD, method.clone());
            head.insert(ORIGINAL_METHOD, method);
        }
        let Some(url) = &self.url else {
            return Ok(());
        };
        let wrong = || ApiError::invalid_field("url", "must be a whole http or https URL");
        let url = Url::parse(url).map_err(|_invalid| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?;
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path_and_query = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        head.insert(FORWARDED_PROTO, text(url.scheme(), "url")?);
        head.insert(FORWARDED_HOST, text(&host, "url")?);
        head.insert(FORWARDED_URI, text(&path_and_query, "url")?);
        Ok(())
    }
}

fn text(value: &str, field: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(value)
        .map_err(|_invalid| ApiError::invalid_field(field, "cannot stand in a header"))
}

impl Explanation {
    fn of(decision: Decision, response: &Response) -> Self {
        let Decision { outcome, tokens } = decision;
        let headers = response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        let reason = match &outcome {
            Err(NotAllowed::Denied(denial)) => Some(denial.facts().0),
            Ok(_) | Err(NotAllowed::Unknown(_)) => None,
        };
        let checks = Check::ALL.iter();
        let candidates = tokens.into_iter();
        let candidates = candidates.map(|(from, outcome)| CandidateResult { from, outcome });
        Self {
            status: response.status().as_u16(),
            reason,
            headers: headers.collect(),
            checks: checks
                .map(|check| CheckResult::of(*check, &outcome))
                .collect(),
            candidates: candidates.collect(),
        }
    }
}

impl CheckResult {
    /// The checks before the one that decided have passed. A service asks here, so only the session can be unknown.
    fn of(check: Check, outcome: &Result<Admitted, NotAllowed>) -> Self {
        let decisive = match outcome {
            Ok(Admitted::User(_)) => None,
            Ok(Admitted::Preflight) => Some((
                Check::Token,
                Outcome::Passed,
                "a preflight needs no token".to_owned(),
            )),
            Err(NotAllowed::Denied(denial)) => {
                Some((denial.facts().1, Outcome::Failed, denial.to_string()))
            }
            Err(NotAllowed::Unknown(error)) => {
                Some((Check::Session, Outcome::Unknown, error.to_string()))
            }
        };
        let (outcome, detail) = match decisive {
            Some((decided_by, outcome, detail)) if decided_by == check => (outcome, detail),
            Some((decided_by, _, _)) if decided_by < check => (
                Outcome::NotReached,
                "an earlier check has decided".to_owned(),
            ),
            Some(_) | None => (Outcome::Passed, check.passed().to_owned()),
        };
        Self {
            check,
            outcome,
            detail,
        }
    }
}
