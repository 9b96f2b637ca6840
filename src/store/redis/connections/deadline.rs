//! How long anything waits for Redis.

use std::time::Duration;

/// What requests wait for at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection when there is none just now, and for their turn when too many are under way.
    pub wait: Duration,
    /// For the answer to one command.
    pub command: Duration,
    /// For a new connection: name, TCP, TLS, login.
    pub connect: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::of(Duration::from_millis(100))
    }
}

impl Deadlines {
    /// Those that go with this one for the answer to a command.
    #[must_use]
    pub fn of(command: Duration) -> Self {
        Self {
            wait: command / 2,
            command,
            connect: command.max(Duration::from_secs(1)),
        }
    }

    /// Until when the last attempt at an operation may start.
    pub(super) fn operation(self) -> Duration {
        self.wait + self.command
    }
}

/// For a slot that is on its way to another master, which takes longer the more keys are in it. Redis refuses at once
/// meanwhile, and has done nothing.
pub(super) const MOVING_SLOT: Duration = Duration::from_secs(1);

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

/// For any sign of life of a connection that listens; after that it is made anew.
pub(super) const SILENCE: Duration = Duration::from_millis(1_500);
