//! Listeners: an accept loop with deadlines, a bound and a drain.
//!
//! It is our own, because a server open to the network needs a deadline for every silence of a client (the header, the
//! next request, the reading of an answer) and a bound for the number of connections. On shutdown it goes on for a while,
//! so that whoever sends requests here hears of it: each answer is the last of its connection. Then no connection is
//! accepted any more, idle ones are closed, and requests under way may finish in time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

mod address;
mod admission;
mod connection;
mod exchange;
mod io_deadline;
mod listener;
mod request_body;
mod signals;
mod sweeper;

pub use address::{InvalidListenAddress, ListenAddress};
pub use listener::{Listener, bind};
pub use signals::{Asked, Signals};
pub use sweeper::sweep_until;

use admission::Place;
use exchange::Exchange;
use listener::{Accepted, Acceptor};

use crate::model::network::Networks;

/// Bounds of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The most connections at once. A tenth more may ask how the gateway is.
    pub max_connections: usize,
    /// The most connections of one address on which no service has proved itself.
    pub max_connections_per_address: usize,
    /// Whose connections have no other bound than that of all.
    pub trusted: Networks,
    /// How long requests are still taken once the server shuts down, each as the last one of its connection.
    pub drain_delay: Duration,
    /// How long requests under way may take after that.
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
    /// For an answer at any pace. From then on a client must have taken [`Deadlines::LEAST_RATE`] on average while bytes
    /// waited for it; what is streamed as it happens is held to no pace.
    pub slow: Duration,
    /// Without a byte of the rest of a request, once its connection was closed on this side.
    pub linger: Duration,
}

impl Deadlines {
    /// The bytes a second that a client takes of an answer at least.
    pub const LEAST_RATE: u32 = 4 * 1024;
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            slow: Duration::from_secs(10),
            linger: Duration::from_secs(2),
        }
    }
}

/// How long connections are still accepted that the system has taken already.
const LAST_ACCEPT: Duration = Duration::from_millis(10);

/// How the server came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Whole,
    /// Time ran out over this many connections.
    CutOff(usize),
}

/// Serves each listener its application until `shutdown` resolves and the delay of the drain is over, then drains. They share
/// the bound of connections.
///
/// An application may upgrade a connection (`hyper::upgrade::on`). It counts as open until what was upgraded is dropped;
/// once the server drains, reading from it ends as if the client had closed, so that a farewell can still be written.
pub async fn serve(
    listeners: impl IntoIterator<Item = (Listener, Router)>,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let mut server = Server {
        acceptor: Acceptor::new(listeners, &settings),
        deadlines: settings.deadlines,
        connections: TaskTracker::new(),
        leaving: CancellationToken::new(),
        drain: CancellationToken::new(),
    };
    server.accept_until(shutdown).await;
    server.leaving.cancel();
    // Whoever is in the queue of a socket that is closed gets no answer, so the queue is emptied at least.
    let delay = settings.drain_delay.max(LAST_ACCEPT);
    server.accept_until(sleep(delay)).await;
    let Server {
        acceptor,
        connections,
        drain,
        ..
    } = server;
    drop(acceptor);
    drain.cancel();
    connections.close();
    match timeout(settings.drain_timeout, connections.wait()).await {
        Ok(()) => Drained::Whole,
        Err(_elapsed) => Drained::CutOff(connections.len()),
    }
}

/// What accepts connections, and what they have in common.
struct Server {
    acceptor: Acceptor,
    deadlines: Deadlines,
    connections: TaskTracker,
    leaving: CancellationToken,
    drain: CancellationToken,
}

impl Server {
    async fn accept_until(&mut self, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        loop {
            let taken = tokio::select! {
                biased;
                () = &mut end => return,
                taken = self.acceptor.accept() => taken,
            };
            self.begin(taken);
        }
    }

    fn begin(&self, (accepted, exchange, place): (Accepted, Exchange, Place)) {
        let open = Open {
            place: Arc::new(place),
            _counted: self.connections.token(),
            leaving: self.leaving.clone(),
            drain: self.drain.clone(),
        };
        let served = connection::serve(accepted, self.deadlines, exchange, open);
        tokio::spawn(served);
    }
}

/// What a connection has of the server. It goes with the stream, which an upgrade takes away from hyper.
#[derive(Debug)]
struct Open {
    place: Arc<Place>,
    _counted: TaskTrackerToken,
    /// The next answer is the last one.
    leaving: CancellationToken,
    /// No further request is waited for.
    drain: CancellationToken,
}
