//! How long anything waits for Redis.

use std::time::Duration;

/// For a connection to a master, when there is none just now.
pub(super) const WAIT: Duration = Duration::from_millis(50);

/// For the answer to one command.
pub(super) const COMMAND: Duration = Duration::from_millis(100);

/// For an operation with what it repeats, as long as its last attempt may start.
pub(super) const OPERATION: Duration = Duration::from_millis(150);

/// For a connection: name, TCP, TLS, login.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

/// For the acknowledgement of sent bytes, after which the kernel gives a connection up.
pub(super) const UNACKNOWLEDGED: Duration = Duration::from_secs(1);

/// For replicas to have a write.
pub(super) const REPLICAS: Duration = Duration::from_millis(100);

/// For the first connection to every master, when the store is opened.
pub(super) const OPEN: Duration = Duration::from_secs(5);

/// Between two heartbeats on one master; each goes over the next of its connections.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);

/// Between two looks at who the masters are, while all is well.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Between two looks, while a master is missing.
pub(super) const LOOK_SOON: Duration = Duration::from_millis(100);

/// Between two looks at least, whoever asks for them.
pub(super) const LOOK_APART: Duration = Duration::from_millis(20);

/// Before something is repeated that Redis refused for the moment.
pub(super) const PAUSE: Duration = Duration::from_millis(5);
