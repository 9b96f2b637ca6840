//! The log: on stderr, as text or as JSON lines.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal};

use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, reload};

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

/// What is logged by the process from now on can be set anew.
pub struct LogLevels(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl LogLevels {
    /// Logs by these levels from now on, as [`EnvFilter`] reads them.
    pub fn set(&self, filter: &str) -> Result<(), reload::Error> {
        self.0(EnvFilter::new(filter))
    }
}

impl fmt::Debug for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLevels").finish_non_exhaustive()
    }
}

/// Starts logging for the whole process.
pub fn init(settings: &LogSettings) -> Result<LogLevels, TryInitError> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.filter))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    Ok(match settings.format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let levels = log.reload_handle();
            log.finish().try_init()?;
            LogLevels(Box::new(move |filter| levels.reload(filter)))
        }
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_filter_reloading();
            let levels = log.reload_handle();
            log.finish().try_init()?;
            LogLevels(Box::new(move |filter| levels.reload(filter)))
        }
    })
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
