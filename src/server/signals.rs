//! The signals that stop the process, and those that would end it for nothing.

use std::io;

use nix::sys::signal::Signal::SIGXFSZ;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, from the moment this was made. SIGHUP and SIGXFSZ end nothing from then on: the terminal may go,
/// and a write beyond the greatest size of a file is an error of that write.
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

    /// Waits for the next one that stops.
    pub async fn next(&mut self) {
        loop {
            tokio::select! {
                _received = self.terminate.recv() => return,
                _received = self.interrupt.recv() => return,
                _received = self.hangup.recv() => {
                    tracing::info!("SIGHUP: no setting can be read again while the gateway runs");
                }
            }
        }
    }
}
