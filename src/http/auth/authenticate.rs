//! Finds the service behind a request. An unknown id, a wrong secret and a disabled service cost the same look into
//! the store and get the same answer; a store that does not answer is 503, never 401.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;

use super::credentials::Credentials;
use super::{Authenticator, built_in};
use crate::gateway::idempotency::CallerKey;
use crate::http::error::ApiError;
use crate::http::extract::freshness_of;
use crate::model::id::ServiceId;
use crate::model::service::{Service, ServiceRecord};
use crate::model::token::CredentialHash;
use crate::store::{Freshness, Stores};

/// A service that proved who it is; the guard of the route makes a [`Caller`](super::Caller) of it.
#[derive(Debug, Clone)]
pub(super) struct Authenticated {
    pub(super) service: Service,
    pub(super) presented: CredentialHash,
    pub(super) key: CallerKey,
    pub(super) stores: Stores,
}

/// Answers who calls, or 401.
pub async fn authenticate(
    State(authenticator): State<Arc<Authenticator>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let address = peer(request.extensions());
    let authenticated = identify(&authenticator, request.headers(), address).await?;
    request.extensions_mut().insert(authenticated);
    Ok(next.run(request).await)
}

/// The address at the other end of the connection.
#[must_use]
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip())
}

impl Authenticator {
    /// The service behind `X-Service-Id` and `X-Service-Secret`, if they are good. `Authorization` is not looked at: it
    /// is the end user's. Failures count against the address, but are never told to wait.
    pub async fn service_of_pair(
        &self,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Option<Service>, ApiError> {
        let found = match Credentials::read_pair(headers) {
            Ok(None) => return Ok(None),
            Ok(Some(Credentials { service_id, secret })) => {
                let presented = CredentialHash::of(&secret);
                admit(self, &service_id, &presented, Freshness::Bounded).await?
            }
            Err(_malformed) => None,
        };
        if found.is_none() {
            drop(self.throttle.refuse(address));
        }
        Ok(found)
    }
}

/// A request without any credentials is no failure of anybody, and does not count.
async fn identify(
    authenticator: &Authenticator,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Authenticated, ApiError> {
    let credentials = match Credentials::read(headers) {
        Ok(Some(credentials)) => credentials,
        Ok(None) => return Err(ApiError::Unauthenticated),
        Err(_malformed) => return Err(authenticator.throttle.refuse(address)),
    };
    let Credentials { service_id, secret } = credentials;
    let presented = CredentialHash::of(&secret);
    match admit(
        authenticator,
        &service_id,
        &presented,
        freshness_of(headers),
    )
    .await?
    {
        Some(service) => Ok(Authenticated {
            service,
            presented,
            key: CallerKey::new(secret),
            stores: authenticator.stores.clone(),
        }),
        None => Err(authenticator.throttle.refuse(address)),
    }
}

/// The service, if these are its credentials. Only a good credential is taken from what this node knows; whatever is
/// wrong with one, the same is done to find out.
pub(super) async fn admit(
    authenticator: &Authenticator,
    service_id: &ServiceId,
    presented: &CredentialHash,
    freshness: Freshness,
) -> Result<Option<Service>, ApiError> {
    let services = &authenticator.stores.services;
    let known = match freshness {
        Freshness::Bounded => services.recall_service(service_id),
        Freshness::Now => None,
    };
    if let Some(known) = known
        && accepts(authenticator, service_id, Some(&known), presented)
    {
        return Ok(Some(known.service.clone()));
    }
    let mut record = services.find_service(service_id).await?;
    let accepted = accepts(authenticator, service_id, record.as_ref(), presented);
    if accepted && record.is_none() {
        built_in::register(&authenticator.stores, CredentialHash::NONE).await?;
        record = services.find_service(service_id).await?;
    }
    Ok(record.filter(|_| accepted).map(|record| record.service))
}

fn accepts(
    authenticator: &Authenticator,
    service_id: &ServiceId,
    record: Option<&ServiceRecord>,
    presented: &CredentialHash,
) -> bool {
    let configured = authenticator.admin.0.filter(|_| service_id.is_admin());
    match (configured, record) {
        (Some(configured), _) => configured == *presented,
        (None, Some(record)) => record.accepts(presented, authenticator.stores.sessions.now()),
        (None, None) => CredentialHash::NONE == *presented,
    }
}
