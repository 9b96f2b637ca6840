//! What an operator must hear of: proxies that ask in a wrong way, and a store that does not answer. Proxies ask on
//! every request of every client, so that each kind of complaint has a bound.

use std::error::Error;

use super::proxy_request::Admitted;
use crate::gateway::forward_auth::{NotAllowed, Principal};
use crate::model::forward_auth::Denial;
use crate::telemetry::log_limit::LogLimit;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Proxy,
    Condition,
    LoginPage,
    Store,
}

/// Writes to the log, seldom.
#[derive(Debug, Default)]
pub(super) struct RateLimitedLog(LogLimit<Kind>);

impl RateLimitedLog {
    /// Hears of a decision. What is the client's fault is not worth a line.
    pub(super) fn hear(&self, principal: &Principal, outcome: &Result<Admitted, NotAllowed>) {
        let address = match principal {
            Principal::Peer { address, .. } => address.map(tracing::field::display),
            Principal::Service => None,
        };
        match outcome {
            Err(NotAllowed::Denied(denial @ Denial::ProxyUnauthenticated { .. })) => {
                if self.0.allows(&Kind::Proxy) {
                    tracing::warn!(client.address = address, reason = %denial, "a proxy was refused");
                }
            }
            Err(NotAllowed::Denied(Denial::Misconfigured(condition))) => {
                if self.0.allows(&Kind::Condition) {
                    tracing::warn!(client.address = address, reason = %condition, "a proxy is misconfigured");
                }
            }
            Err(NotAllowed::Unknown(error)) => {
                if self.0.allows(&Kind::Store) {
                    let error: &(dyn Error + 'static) = error;
                    tracing::warn!(error, "proxies get no answer");
                }
            }
            Ok(_)
            | Err(NotAllowed::Denied(
                Denial::TokenMissing
                | Denial::TooManyTokens
                | Denial::TokenMalformed
                | Denial::TokenUnknown
                | Denial::TokenAmbiguous
                | Denial::Ended(_)
                | Denial::RequirementNotMet
                | Denial::DeviceMismatch,
            )) => {}
        }
    }

    /// Hears that a login page is not used.
    pub(super) fn login_page_not_allowed(&self) {
        if self.0.allows(&Kind::LoginPage) {
            tracing::warn!("login_url is not in SGW_LOGIN_URL_ALLOW; users get 401");
        }
    }
}
