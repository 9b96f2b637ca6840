//! Why the configuration cannot be used, in one line that names the variable and never shows its value.

use std::fmt;
use std::io;

use thiserror::Error;

use super::value::InvalidValue;

/// Where a variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the environment of the process.
    Environment,
    /// In the file `.env`.
    DotEnv,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "in the environment",
            Self::DotEnv => "in .env",
        })
    }
}

/// What is wrong with the configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No variable has this name.
    #[error(
        "{name} {origin} is not a setting of session-gateway (in Kubernetes, `enableServiceLinks: false` keeps \
         variables of services named sgw out)"
    )]
    Unknown {
        /// The variable.
        name: String,
        /// Where it is set.
        origin: Origin,
    },
    /// No variable has this name, and one has nearly the same.
    #[error("{name} {origin} is not a setting of session-gateway; did you mean {near}?")]
    Misspelt {
        /// The variable.
        name: String,
        /// Where it is set.
        origin: Origin,
        /// The one that is meant, perhaps.
        near: &'static str,
    },
    /// The value breaks the rules of its variable.
    #[error("{name} {origin} {source}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Where it is set.
        origin: Origin,
        /// The rule it breaks.
        source: InvalidValue,
    },
    /// Traces cannot be sent there.
    #[error("{0} must be a URL that starts with http:// or https://")]
    TraceEndpoint(&'static str),
    /// Traces cannot be sent like this.
    #[error("{0} must be http/protobuf, the only form in which traces are sent")]
    TraceProtocol(&'static str),
    /// The value, or that of a variable of an unknown name, is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(String),
    /// The file a variable names cannot be read.
    #[error("{name} {origin} names a file that cannot be read: {source}")]
    File {
        /// The variable.
        name: &'static str,
        /// Where it is set.
        origin: Origin,
        /// What the system said.
        source: io::Error,
    },
    /// What may hold a secret is given twice.
    #[error("{0} and {0}_FILE are both set; which one counts is not guessed")]
    Twice(&'static str),
    /// A default is above what may be asked for.
    #[error("{name} is longer than {limit} allows")]
    AboveLimit {
        /// The default.
        name: &'static str,
        /// Its limit.
        limit: &'static str,
    },
    /// The file `.env` is there, but cannot be read.
    #[error(".env cannot be read: {0}")]
    DotEnv(#[source] io::Error),
    /// The file `.env` is somebody else's.
    #[error(
        ".env belongs to another user, so it is not read; who runs session-gateway must own it"
    )]
    DotEnvForeign,
    /// The file `.env` can be written by others.
    #[error(".env can be written by others, so it is not read; chmod go-w .env")]
    DotEnvWritable,
    /// The file `.env` has a line that assigns nothing. The line is not shown: it may hold a secret.
    #[error(".env has a line that is no NAME=value")]
    DotEnvLine,
}
