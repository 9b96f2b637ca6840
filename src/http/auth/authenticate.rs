//! Finds the service behind a request, or answers 401; a store that does not answer is 503, never 401.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::credentials::presented;
use super::proof::Proof;
use super::rate_limit;
use crate::gateway::auth::Authenticator;
use crate::http::error::ApiError;
use crate::http::extract::consistency_of;

/// Answers who calls, or 401.
pub async fn authenticate(
    State(authenticator): State<Arc<Authenticator>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let address = peer(request.extensions());
    let headers = request.headers();
    let authenticated =
        authenticator.authenticate(presented(headers), address, consistency_of(headers));
    let authenticated = authenticated.await?;
    Proof::give(request.extensions());
    let allowance = authenticated.allowance();
    let (mut response, _held) = match allowance.enter().map(Arc::new) {
        Ok(held) => {
            let extensions = request.extensions_mut();
            extensions.insert(authenticated);
            extensions.insert(Arc::clone(&held));
            (next.run(request).await, Some(held))
        }
        Err(error) => (ApiError::from(error).into_response(), None),
    };
    let usage = allowance.usage(authenticator.stores.sessions.now());
    rate_limit::tell(&usage, response.headers_mut());
    Ok(response)
}

/// The address at the other end of the connection, without the dress of IPv6 that a listener on both gives one of IPv4.
#[must_use]
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip().to_canonical())
}
