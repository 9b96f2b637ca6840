//! `healthcheck`: for containers, which have no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, StatusCode};
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
    #[error("not ready: {status} {body}")]
    Answered { status: StatusCode, body: String },
    #[error("the request cannot be made: {0}")]
    Request(#[from] axum::http::Error),
}

pub(super) fn run(config: &Config) -> Result<(), NotReady> {
    let address = authority(&config.listener.listen);
    let request = Request::get(format!("http://{address}/readyz")).body(Bytes::new())?;
    let answer = send(request, DEADLINE);
    let answer = answer.map_err(|source| NotReady::NoAnswer { address, source })?;
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let body = String::from_utf8_lossy(answer.body());
    let body = body.chars().take(200).collect();
    Err(NotReady::Answered { status, body })
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
