//! The signals that ask something of the process, and those that would end it for nothing.

use std::io;

use nix::sys::signal::Signal::SIGXFSZ;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To stop: SIGTERM and SIGINT.
    Stop,
    /// To read the settings again: SIGHUP.
    Reload,
}

/// The signals, from the moment this was made. SIGHUP and SIGXFSZ end nothing from then on: the terminal may go, and a
/// write beyond the greatest size of a file is an error of that write.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    _file_size: Signal,
}

impl Signals {
    /// Takes the signals over from the system's default, which would end the process at once.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(SIGXFSZ as i32))?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _received = self.terminate.recv() => Asked::Stop,
            _received = self.interrupt.recv() => Asked::Stop,
            _received = self.hangup.recv() => Asked::Reload,
        }
    }
}
