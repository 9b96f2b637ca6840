//! What a node and its supervisor tell each other: the connections there are, and what is found wrong with them.

use std::sync::Arc;

use deadpool_redis::redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use super::errors::ConnectError;

/// Whether requests can be sent: the breaker.
#[derive(Debug, Clone)]
pub(super) enum State {
    Connecting {
        since: Instant,
    },
    /// There are connections, at least one.
    Up(Arc<[SharedConnection]>),
    Down(Arc<ConnectError>),
}

#[derive(Debug, Clone)]
pub(super) struct SharedConnection {
    pub(super) id: u64,
    connection: MultiplexedConnection,
}

/// What a request found wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is of no use any more.
    Broken { shared_connection: u64 },
    /// It was silent for a whole deadline, and so were all others to this master.
    Silent { shared_connection: u64 },
}

impl SharedConnection {
    pub(super) fn new(id: u64, connection: MultiplexedConnection) -> Self {
        Self { id, connection }
    }

    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}
