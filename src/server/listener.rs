//! Where connections come from: sockets of several kinds, under one bound.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::ServerSettings;
use super::admission::{Admission, Place};
use super::exchange::Exchange;
use crate::model::network::Networks;

/// How long accepting rests when the process has no file descriptor left: long enough not to spin, short enough to be
/// back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the system keeps of answers that a client has yet to take, at most. What it would choose itself grows to
/// megabytes, and hides for minutes that a client takes nothing. It is enough for 60 MB a second over a millisecond.
pub(super) const SEND_BUFFER: u32 = 64 * 1024;

/// How many clients may wait to be accepted, as tokio has it.
const BACKLOG: u32 = 1024;

/// The address of a client that has none: who reaches a Unix socket is on this machine.
const THIS_MACHINE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket that clients connect to.
#[derive(Debug)]
pub enum Listener {
    /// At an address.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// Listens at an address, for connections that hold no more than they need.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    listen(socket(address)?, address)
}

/// As [`bind`] does, but who listens at all addresses of IPv6 leaves those of IPv4 to another socket.
pub(super) fn bind_apart(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    listen(socket, address)
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}

fn listen(socket: TcpSocket, address: SocketAddr) -> io::Result<TcpListener> {
    // The address can be had again while connections of the process before are still being closed.
    socket.set_reuseaddr(true)?;
    // Accepted connections take it over.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

pub(super) type Stream = Either<TcpStream, UnixStream>;

impl Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, SocketAddr)>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, peer)| {
                // Without it an answer would wait for what the client has yet to confirm; a client that is gone is met
                // at the first read.
                let _gone = stream.set_nodelay(true);
                (Either::Left(stream), peer)
            }),
            Self::Unix(listener) => {
                let accepted = listener.poll_accept(cx);
                accepted.map_ok(|(stream, _unnamed)| (Either::Right(stream), THIS_MACHINE))
            }
        }
    }
}

pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    /// What is served where it was accepted.
    pub(super) app: Router,
}

impl Accepted {
    /// Where the client is, if it may be on another machine.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.stream {
            Either::Left(_) => Some(self.peer.ip()),
            Either::Right(_) => None,
        }
    }
}

/// Accepts one connection after another, as there is room. Repeated trouble is logged once.
pub(super) struct Acceptor {
    listeners: Vec<(Listener, Router)>,
    admission: Arc<Admission>,
    trusted: Networks,
    failing: bool,
}

impl Acceptor {
    pub(super) fn new(
        listeners: impl IntoIterator<Item = (Listener, Router)>,
        settings: &ServerSettings,
    ) -> Self {
        Self {
            listeners: listeners.into_iter().collect(),
            admission: Arc::new(Admission::new(settings)),
            trusted: settings.trusted.clone(),
            failing: false,
        }
    }

    /// The next connection that can be taken, and its place.
    pub(super) async fn accept(&mut self) -> (Accepted, Exchange, Place) {
        loop {
            let accepted = self.accept_next().await;
            let exchange = Exchange::accepted();
            let address = accepted.address();
            let address = address.filter(|address| !self.trusted.include(*address));
            if let Some(place) = self.admission.place(&exchange, address).await {
                return (accepted, exchange, place);
            }
        }
    }

    async fn accept_next(&mut self) -> Accepted {
        loop {
            match self.accept_anywhere().await {
                Ok(accepted) => {
                    self.failing = false;
                    return accepted;
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::error!(%error, "connections cannot be accepted; trying on");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Each listener is asked first in its turn, so that a busy one keeps no other waiting.
    async fn accept_anywhere(&mut self) -> io::Result<Accepted> {
        let turn = self.listeners.len().min(1);
        self.listeners.rotate_left(turn);
        poll_fn(|cx| {
            for (listener, app) in &self.listeners {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    let app = app.clone();
                    return Poll::Ready(accepted.map(|(stream, peer)| Accepted {
                        stream,
                        peer,
                        app,
                    }));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The client was gone before it was accepted; the next one may do better.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
