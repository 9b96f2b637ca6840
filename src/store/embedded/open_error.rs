//! Why the store cannot be opened.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::store::StoreError;
use crate::telemetry::log::with_causes;
use crate::telemetry::panics::Contained;

/// Why the store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A file or directory cannot be made or opened.
    #[error("{path}: {source}", path = path.display())]
    Path {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no store, or is damaged.
    #[error(
        "{path} cannot be opened: {source}; `session-gateway check` tells what of it can be read",
        path = path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the storage engine said.
        source: Box<OpenError>,
    },
    /// A newer version has written it. It is left as it is.
    #[error(
        "the store was written by a newer version: it has format {found}, this version knows {newest}"
    )]
    NewerFormat {
        /// The format it has.
        found: u64,
        /// The newest that this version knows.
        newest: u64,
    },
    /// The storage engine failed.
    #[error("the storage engine: {0}")]
    Engine(#[source] Box<redb::Error>),
    /// The storage engine panicked, as on bytes that it has not written.
    #[error("the storage engine: {0}")]
    Panicked(#[source] Contained),
    /// A record that every start reads is damaged.
    #[error("{}", with_causes(.0))]
    Record(#[source] StoreError),
    /// No thread could be started for the writer.
    #[error("the writing thread cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// The storage engine failed.
pub(super) fn engine(error: impl Into<redb::Error>) -> OpenError {
    OpenError::Engine(Box::new(error.into()))
}
