//! What stands against an operation.

use thiserror::Error;

use crate::model::permission::Grant;
use crate::model::record::Unchangeable;
use crate::model::session::Tombstone;

/// A fact that stands against an operation. Nothing of it was done; sessions that were found to be over by age, or whose
/// token was reused, have ended all the same.
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
    /// Who manages the service does not hold what it holds or is to get.
    #[error("the manager does not hold {0}")]
    NotHeld(Grant),
    /// The cursor was not made by this store for this list.
    #[error("the cursor is not one of this list")]
    CursorInvalid,
    /// What followed the cursor is no longer kept.
    #[error("the cursor is older than what is kept")]
    CursorExpired,
}
