//! Where a gateway listens, as it is set.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use nix::errno::Errno;
use thiserror::Error;
use tokio::net::{TcpListener, lookup_host};

use super::listener::{bind, bind_apart};

/// Where to listen. Port 0 is any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// At one address.
    At(SocketAddr),
    /// At every address that a name has on this machine.
    Named {
        /// The name.
        host: String,
        /// The port at each of them.
        port: u16,
    },
    /// On all interfaces, by IPv4 and by IPv6.
    Everywhere {
        /// The port on each of them.
        port: u16,
    },
}

/// A text that says not where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be an address and a port, like 127.0.0.1:8080, [::1]:8080 or localhost:8080, or :8080 for all interfaces"
)]
pub struct InvalidListenAddress;

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::At(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidListenAddress)?;
        let port = port.parse().map_err(|_number| InvalidListenAddress)?;
        if host.is_empty() {
            Ok(Self::Everywhere { port })
        } else if is_name(host) {
            let host = host.to_owned();
            Ok(Self::Named { host, port })
        } else {
            Err(InvalidListenAddress)
        }
    }
}

/// Whether a text is the name of a host, and no number that is an address to some.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let last = text.trim_end_matches('.').rsplit('.').next();
    let is_number = last.is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.bytes().all(allowed) && !is_number
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Named { host, port } => write!(f, "{host}:{port}"),
            Self::Everywhere { port } => write!(f, ":{port}"),
        }
    }
}

impl ListenAddress {
    /// Whether every network reaches it that reaches this machine.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        match self {
            Self::At(address) => address.ip().is_unspecified(),
            Self::Named { .. } => false,
            Self::Everywhere { .. } => true,
        }
    }

    /// Listens there, at one port, by IPv4 first. Of several addresses those are left out that this machine does not
    /// have, unless it has none of them.
    pub async fn bind(&self) -> io::Result<Vec<TcpListener>> {
        match self {
            Self::At(address) => Ok(vec![bind(*address)?]),
            Self::Named { host, port } => {
                let found = lookup_host((host.as_str(), *port)).await?;
                let mut ips: Vec<_> = found.map(|address| address.ip()).collect();
                ips.sort_unstable();
                ips.dedup();
                bind_all(ips, *port)
            }
            Self::Everywhere { port } => {
                let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
                bind_all(vec![v4, v6], *port)
            }
        }
    }
}

fn bind_all(ips: Vec<IpAddr>, mut port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(ips.len());
    let mut absent = io::ErrorKind::AddrNotAvailable.into();
    for ip in ips {
        match bind_apart(SocketAddr::new(ip, port)) {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if is_absent(&error) => absent = error,
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() {
        return Err(absent);
    }
    Ok(listeners)
}

/// Whether the machine does not have the address, or its family.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:0",
            "0.0.0.0:80",
            "localhost:8080",
            "gateway-1.internal:8080",
            ":8080",
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "8080",
            ":",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:70000",
            "256.0.0.1:80",
            "127.1:80",
            "::1:8080",
            "http://localhost:8080",
            "local host:8080",
        ] {
            assert_eq!(
                text.parse::<ListenAddress>(),
                Err(InvalidListenAddress),
                "{text}"
            );
        }
    }

    #[test]
    fn what_opens_the_machine_to_every_network_is_known() {
        for (text, everywhere) in [
            ("127.0.0.1:1", false),
            ("localhost:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            (":1", true),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.is_everywhere(), everywhere, "{text}");
        }
    }
}
