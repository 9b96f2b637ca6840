//! `healthcheck`: for containers, which have no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use serde::Deserialize;
use thiserror::Error;

use super::http::{HttpError, send};
use crate::config::Config;
use crate::server::ListenAddress;

/// Below the three seconds that are usual for the timeout of a container's health check.
const DEADLINE: Duration = Duration::from_secs(2);

/// Why the gateway does not count as ready.
#[derive(Debug, Error)]
pub(super) enum NotReady {
    #[error("http://{address}/readyz: {source}")]
    NoAnswer { address: String, source: HttpError },
    #[error("http://{address}/readyz: not ready: {reason}")]
    Answered { address: String, reason: String },
    #[error("http://{address}/readyz: the answer is not one of a session gateway: {status}")]
    Foreign { address: String, status: StatusCode },
    #[error("the request cannot be made: {0}")]
    Request(#[from] axum::http::Error),
}

pub(super) fn run(config: &Config) -> Result<(), NotReady> {
    let address = authority(&config.listener.listen);
    let request = Request::get(format!("http://{address}/readyz")).body(Bytes::new())?;
    let answer = match send(request, DEADLINE) {
        Ok(answer) => answer,
        Err(source) => return Err(NotReady::NoAnswer { address, source }),
    };
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    Err(match serde_json::from_slice(answer.body()) {
        Ok(Readiness { reason }) => NotReady::Answered { address, reason },
        Err(_shape) => NotReady::Foreign { address, status },
    })
}

/// What is shown of a gateway that is not ready.
#[derive(Deserialize)]
struct Readiness {
    reason: String,
}

/// Where a gateway that listens there is reached from this machine.
pub(super) fn authority(listen: &ListenAddress) -> String {
    match listen {
        ListenAddress::At(address) => reachable(*address).to_string(),
        ListenAddress::Named { .. } => listen.to_string(),
        ListenAddress::Everywhere { port } => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), *port).to_string()
        }
    }
}

/// Where a listener is reached from this machine: one on all addresses, by the loopback.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}
