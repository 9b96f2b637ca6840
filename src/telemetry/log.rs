//! The log: on stderr, as text or as JSON lines.

use std::error::Error;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Levels by target, as [`EnvFilter`] reads them.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

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

/// An error and everything below it, in one line. Some errors tell their cause themselves.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string().trim_end().to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        let told = told.trim_end();
        if !text.ends_with(told) {
            text.push_str(": ");
            text.push_str(told);
        }
        cause = error.source();
    }
    text
}
