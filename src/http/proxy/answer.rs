//! Puts a decision into the words of a proxy: status and headers, never a body.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use url::Url;

use super::ProxyAuth;
use super::login::{self, Original};
use super::proxy_request::{Admitted, Dialect, ProxyRequest, Widening};
use crate::gateway::forward_auth::{Identity, NotAllowed};
use crate::model::forward_auth::{Denial, Fault};

const REASON: HeaderName = HeaderName::from_static("x-auth-reason");

/// Seconds after which a proxy may ask again when the store did not answer.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// RFC 6750, section 3: without a token there is nothing to find fault with.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"session-gateway\"");
const CHALLENGE_INVALID: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"session-gateway\", error=\"invalid_token\"");

impl ProxyAuth {
    pub(super) async fn answer(
        &self,
        proxy_request: &ProxyRequest<'_>,
        outcome: &Result<Admitted, NotAllowed>,
    ) -> Response {
        let widening = proxy_request.widening;
        match outcome {
            Ok(Admitted::User(identity)) => self.passed(Some(identity), widening, ""),
            Ok(Admitted::Preflight) => self.passed(None, widening, ""),
            Err(NotAllowed::Denied(denial)) => {
                let (reason, _, fault) = denial.facts();
                if fault == Fault::NotLoggedIn && widening.lets_nobody_pass() {
                    return self.passed(None, widening, reason);
                }
                match self.login_page(proxy_request, denial).await {
                    Some(page) => redirected(&page),
                    None => denied(denial),
                }
            }
            Err(NotAllowed::Unknown(_)) => {
                let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, RETRY_SECONDS);
                response
            }
        }
    }

    /// Where nobody may pass, an app is always told why it is nobody, so that no client can say it.
    fn passed(
        &self,
        identity: Option<&Identity>,
        widening: Widening,
        reason: &'static str,
    ) -> Response {
        let mut response = empty(StatusCode::OK);
        let headers = response.headers_mut();
        let exports = &self.settings.exports;
        headers.extend(identity.map_or_else(|| exports.of_nobody(), |user| exports.headers(user)));
        if widening != Widening::None {
            headers.insert(REASON, HeaderValue::from_static(reason));
        }
        response
    }

    /// Where to send a person who is not logged in. The way back is told only if a proxy of ours told it.
    async fn login_page(&self, proxy_request: &ProxyRequest<'_>, denial: &Denial) -> Option<Url> {
        let (_, _, fault) = denial.facts();
        if proxy_request.dialect != Dialect::Forward || fault != Fault::NotLoggedIn {
            return None;
        }
        let page = login::page(proxy_request.query)?.ok();
        let Some(page) = page.filter(|page| self.settings.login_origins.include(page)) else {
            self.rate_limited_log.login_page_not_allowed();
            return None;
        };
        let asked = self.forward_auth.is_proxy_in_time(&proxy_request.principal);
        let is_proxy = asked.await;
        let original = is_proxy.then(|| Original::forwarded(proxy_request.headers));
        let original = original.unwrap_or_default();
        let method = original.method.as_ref().unwrap_or(proxy_request.method);
        login::is_navigation(method, proxy_request.headers)
            .then(|| login::with_return(page, original.url.as_ref()))
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

pub(super) fn denied(denial: &Denial) -> Response {
    let (reason, _, fault) = denial.facts();
    let mut response = empty(match fault {
        Fault::NotLoggedIn => StatusCode::UNAUTHORIZED,
        Fault::NotAllowed => StatusCode::FORBIDDEN,
    });
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(reason));
    if let Denial::ProxyUnauthenticated {
        retry_after: Some(seconds),
    } = denial
    {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    if fault == Fault::NotLoggedIn {
        let nothing_sent = *denial == Denial::TokenMissing;
        let challenge = if nothing_sent {
            CHALLENGE
        } else {
            CHALLENGE_INVALID
        };
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn redirected(page: &Url) -> Response {
    let mut response = empty(StatusCode::FOUND);
    // A URL prints as visible ASCII.
    if let Ok(location) = HeaderValue::from_str(page.as_str()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
