//! What a store says when it does not do what was asked: a refusal is a fact, an error means *unknown*.

use std::error::Error as StdError;

use thiserror::Error;

use crate::rules::refusal::Refusal;

/// The cause below a [`StoreError`], kept for the log.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// The store does not know, or cannot tell. Whoever asked learns neither yes nor no.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No answer within the deadline; a write may or may not have happened.
    #[error("the store did not answer in time")]
    TimedOut,
    /// Too much is waiting; nothing was done.
    #[error("too many operations wait for the store")]
    Overloaded,
    /// The store failed or cannot be reached; a write may or may not have happened.
    #[error("the store failed")]
    Unavailable(#[source] Cause),
    /// There is no room to keep more; nothing was done.
    #[error("the store is full")]
    Full,
    /// An earlier failure left the store unsafe to write to; nothing was done.
    #[error("the store takes no writes since an earlier failure")]
    WritesStopped,
    /// A record that this version wrote cannot be read back.
    #[error("a stored {record} cannot be read")]
    Corrupt {
        /// What kind of record.
        record: &'static str,
        /// What reading it said.
        #[source]
        cause: Cause,
    },
    /// A record from a newer version of the gateway; it is left untouched.
    #[error("a stored {record} has format {format}, which this version does not know")]
    NewerFormat {
        /// What kind of record.
        record: &'static str,
        /// The format it is in.
        format: u8,
    },
}

/// Why an operation did not happen.
#[derive(Debug, Error)]
pub enum OpError {
    /// A fact stands against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store does not know.
    #[error(transparent)]
    Store(#[from] StoreError),
}
