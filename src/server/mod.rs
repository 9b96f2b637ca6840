//! The listener: an accept loop with deadlines, a bound and a drain.
//!
//! It is our own, because a server open to the network needs a deadline for every silence of a client (the header, the
//! next request, the reading of an answer) and a bound for the number of connections. On shutdown no connection is accepted any more, idle ones are closed, and requests under way may finish in time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod connection;
mod io_deadline;
mod signals;
mod sweeper;

pub use signals::Signals;
pub use sweeper::sweep_until;

/// How long accepting rests when the process has no file descriptor left: long enough not to spin, short enough to be
/// back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSettings {
    /// The most connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long requests under way may take once the server shuts down.
    pub drain_timeout: Duration,
    /// How long a client may be silent.
    pub deadlines: Deadlines,
}

/// How long a client may be silent before its connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the first byte of a request, or from the accept, to the end of the header.
    pub header: Duration,
    /// From the end of an answer to the next request. Longer than the 60 seconds of nginx, so that the proxy closes
    /// first and no request meets a connection that is just being closed.
    pub idle: Duration,
    /// Without taking any byte of an answer.
    pub write: Duration,
    /// To read an answer that came before its request was sent to the end.
    pub linger: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            linger: Duration::from_secs(1),
        }
    }
}

/// How the server came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Whole,
    /// Time ran out over this many connections.
    CutOff(usize),
}

/// Serves until `shutdown` resolves, then drains.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let mut acceptor = Acceptor::new(listener, settings.max_connections);
    let connections = TaskTracker::new();
    let drain = CancellationToken::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = acceptor.accept() => accepted,
        };
        let Some((stream, slot)) = accepted else {
            break;
        };
        let served = connection::serve(stream, app.clone(), settings.deadlines, drain.clone());
        connections.spawn(async move {
            served.await;
            drop(slot);
        });
    }
    drop(acceptor);
    drain.cancel();
    connections.close();
    match tokio::time::timeout(settings.drain_timeout, connections.wait()).await {
        Ok(()) => Drained::Whole,
        Err(_elapsed) => Drained::CutOff(connections.len()),
    }
}

/// Accepts one connection after another, within the bound. Repeated trouble is logged once.
struct Acceptor {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    full: bool,
    failing: bool,
}

impl Acceptor {
    fn new(listener: TcpListener, max_connections: usize) -> Self {
        let max_connections = max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            slots: Arc::new(Semaphore::new(max_connections)),
            full: false,
            failing: false,
        }
    }

    async fn accept(&mut self) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let slot = self.slot().await?;
        loop {
            match self.listener.accept().await {
                Ok((stream, _peer)) => {
                    self.failing = false;
                    return Some((stream, slot));
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

    async fn slot(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            self.full = false;
            return Some(slot);
        }
        if !std::mem::replace(&mut self.full, true) {
            tracing::warn!("as many connections are open as SGW_MAX_CONNECTIONS allows; more wait");
        }
        Arc::clone(&self.slots).acquire_owned().await.ok()
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
