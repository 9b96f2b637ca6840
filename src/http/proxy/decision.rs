//! The one decision behind every dialect: may this request pass, and whose is it?
//!
//! The checks stand in a fixed order. The token comes first, because what carries none is told so whatever else is
//! wrong; then the proxy; then its conditions; only then is the session looked for.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use serde::Deserialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::Gate;
use super::condition::Conditions;
use super::refusal::{InvalidCondition, Refusal};
use super::token;
use crate::http::error::ApiError;
use crate::model::permission::Permission;
use crate::model::token::PresentedToken;
use crate::store::{Freshness, Lookup, StoreError, Touch, Verified};

/// The store's time for one decision. Envoy waits 200 ms for the answer; what is left is for the way.
const STORE_DEADLINE: Duration = Duration::from_millis(150);

/// What is to be decided.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// How the proxy asks.
    pub(super) dialect: Dialect,
    /// The method of the question.
    pub(super) method: &'a Method,
    /// All headers, those of the proxy and those of its client.
    pub(super) headers: &'a HeaderMap,
    /// The query of the question.
    pub(super) query: &'a str,
    /// Who asks.
    pub(super) asker: Asker,
    /// Whether a yes counts as use of the session.
    pub(super) touch: Touch,
}

/// The kinds of proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    /// `auth_request`: every status but 2xx, 401 and 403 becomes 500.
    Nginx,
    /// Traefik, Caddy, HAProxy: a refusal is handed to the client as it is.
    Forward,
    /// `ext_authz` over HTTP: the path and query are the client's.
    Envoy,
}

/// Who asks for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// Whoever is at the other end of the connection.
    Peer(Option<IpAddr>),
    /// A service that has proved itself already.
    Service,
}

/// Why a request does not pass. The second is neither yes nor no.
#[derive(Debug, Error)]
pub(super) enum NotAllowed {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the store does not know")]
    Unknown(#[source] ApiError),
}

impl From<StoreError> for NotAllowed {
    fn from(error: StoreError) -> Self {
        Self::Unknown(error.into())
    }
}

impl From<InvalidCondition> for NotAllowed {
    fn from(invalid: InvalidCondition) -> Self {
        Self::Refused(invalid.into())
    }
}

impl Question<'_> {
    /// Conditions, as far as the operator wrote the query.
    fn conditions(&self) -> Result<Conditions, InvalidCondition> {
        let query = match self.dialect {
            Dialect::Nginx | Dialect::Forward => self.query,
            Dialect::Envoy => "",
        };
        Conditions::read(self.headers, query)
    }
}

impl Gate {
    /// The session of a request that may pass.
    pub(super) async fn decide(&self, question: &Question<'_>) -> Result<Verified, NotAllowed> {
        let token = token::read(question.headers, self.settings.token_cookie.as_ref())?;
        match tokio::time::timeout(STORE_DEADLINE, self.ask_store(token, question)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(StoreError::TimedOut.into()),
        }
    }

    async fn ask_store(
        &self,
        token: PresentedToken,
        question: &Question<'_>,
    ) -> Result<Verified, NotAllowed> {
        if !self.is_proxy(question.asker, question.headers).await? {
            return Err(Refusal::ProxyUnauthenticated.into());
        }
        let conditions = question.conditions()?;
        let stores = &self.authenticator.stores;
        // Browsers send `no-cache` with every reload: what this node knows must do.
        let found = stores.find_by_token(&token, question.touch, Freshness::Bounded);
        let found = match found.await? {
            Lookup::Live(found) => *found,
            Lookup::Ended(tombstone) => return Err(Refusal::Ended(tombstone.ended).into()),
            Lookup::Unknown => return Err(Refusal::TokenUnknown.into()),
        };
        conditions.check(&found.record.session)?;
        Ok(found)
    }

    /// Whether a proxy of ours asks, as far as the store tells in time.
    pub(super) async fn is_proxy_in_time(&self, question: &Question<'_>) -> bool {
        let asked = self.is_proxy(question.asker, question.headers);
        matches!(
            tokio::time::timeout(STORE_DEADLINE, asked).await,
            Ok(Ok(true))
        )
    }

    /// Whether a proxy of ours asks. It is known by its address, else by its credentials.
    async fn is_proxy(&self, asker: Asker, headers: &HeaderMap) -> Result<bool, NotAllowed> {
        let Asker::Peer(address) = asker else {
            return Ok(true);
        };
        if address.is_some_and(|address| self.settings.trusted.include(address)) {
            return Ok(true);
        }
        let service = self.authenticator.service_of_pair(headers, address).await;
        let service = service.map_err(NotAllowed::Unknown)?;
        Ok(service.is_some_and(|service| {
            let scope = service
                .permissions
                .scope(Permission::TokenVerify, &service.service_id);
            scope.is_some()
        }))
    }
}
