//! The log: on stderr, as text or as JSON lines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, LogSettings};

/// Starts logging for the whole process.
pub fn init(settings: &LogSettings) -> Result<(), TryInitError> {
    let mut log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.filter))
        .with_writer(io::stderr);
    if !io::stderr().is_terminal() {
        log = log.with_ansi(false);
    }
    match settings.format {
        LogFormat::Text => log.finish().try_init(),
        LogFormat::Json => log.json().flatten_event(true).finish().try_init(),
    }
}
