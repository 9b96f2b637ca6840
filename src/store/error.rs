//! What a store says when it does not do what was asked: a refusal is a fact, an error means *unknown*.

use std::error::Error as StdError;

use thiserror::Error;

use crate::model::record::Unchangeable;
use crate::model::session::Tombstone;

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

/// A fact that stands against an operation. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such session is or was known, or it is out of the caller's sight.
    #[error("the session is not known")]
    SessionUnknown,
    /// The session is over.
    #[error("the session has ended")]
    SessionEnded(Box<Tombstone>),
    /// The session's version is none of those that were expected.
    #[error("the session has another version")]
    VersionConflict,
    /// Another session has or had this token.
    #[error("the token is in use")]
    TokenInUse,
    /// The token is or was no session's, or is out of the caller's sight.
    #[error("the token is not known")]
    TokenUnknown,
    /// The login has as many sessions as it may have.
    #[error("the login has as many sessions as it may have")]
    LimitReached,
    /// No session may be opened for the login now.
    #[error("the login is banned")]
    LoginBanned,
    /// The login is not banned.
    #[error("the login is not banned")]
    BanUnknown,
    /// The session cannot be changed so.
    #[error(transparent)]
    Unchangeable(#[from] Unchangeable),
    /// A service with this id exists.
    #[error("the service exists")]
    ServiceExists,
    /// No service has this id.
    #[error("the service is not known")]
    ServiceUnknown,
    /// The cursor was not made by this store for this list.
    #[error("the cursor is not one of this list")]
    CursorInvalid,
    /// What followed the cursor is no longer kept.
    #[error("the cursor is older than what is kept")]
    CursorExpired,
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
