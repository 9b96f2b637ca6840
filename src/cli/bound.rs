//! The listeners of a gateway, and where they are.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use super::ServeError;
use crate::server::{ListenAddress, Listener};

pub(super) struct Bound {
    listeners: Vec<TcpListener>,
    pub(super) addresses: Vec<SocketAddr>,
}

impl Bound {
    pub(super) async fn to(
        variable: &'static str,
        address: &ListenAddress,
    ) -> Result<Self, ServeError> {
        let bound = address.bind().await;
        let listeners = bound.map_err(|source| ServeError::Listen {
            variable,
            address: address.clone(),
            source,
        })?;
        let addresses = listeners.iter().map(TcpListener::local_addr);
        let addresses = addresses.collect::<Result<_, _>>();
        Ok(Self {
            addresses: addresses.map_err(ServeError::Runtime)?,
            listeners,
        })
    }

    /// Each with what is served there.
    pub(super) fn serving(self, app: &Router) -> Vec<(Listener, Router)> {
        let listeners = self.listeners.into_iter().map(Listener::from);
        listeners.map(|listener| (listener, app.clone())).collect()
    }
}
