//! Why a use case did not do what was asked. The ways in tell it each in their own form.

use std::error::Error;
use std::sync::Arc;

use thiserror::Error;

use crate::entropy::EntropyError;
use crate::model::attribute::AttributeLimit;
use crate::model::permission::Grant;
use crate::model::quota::Quota;
use crate::model::record::Unchangeable;
use crate::model::session::Ended;
use crate::rules::refusal::Refusal;
use crate::seal::SealError;
use crate::store::node::follow::FollowError;
use crate::store::{OpError, StoreError};

/// Everything a use case can answer instead of what was asked.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// What was asked for is out of range.
    #[error("{field} {rule}")]
    InvalidField {
        /// The field; parts of parts are separated by slashes.
        field: &'static str,
        /// The rule it breaks.
        rule: FieldRule,
    },
    /// Service credentials are missing or wrong.
    #[error("service credentials are missing or wrong")]
    Unauthenticated,
    /// Too many failed authentications came from this address.
    #[error("too many failed authentications from this address")]
    RateLimited {
        /// Seconds until the next try may succeed.
        retry_after: u64,
    },
    /// The service takes as much as it may.
    #[error("the service takes as much as its quota `{}` allows", .0.as_str())]
    QuotaExceeded(Quota),
    /// The service may not do this.
    #[error("this needs the permission {0}")]
    PermissionDenied(Grant),
    /// A session, as named by the request, was never known.
    #[error("no session has this id")]
    SessionNotFound,
    /// The session has no such attribute.
    #[error("the session has no attribute of this name")]
    AttributeNotFound,
    /// No service has this id.
    #[error("no service has this id")]
    ServiceNotFound,
    /// A service with this id exists.
    #[error("a service with this id exists")]
    ServiceExists,
    /// The built-in service cannot be changed so.
    #[error("the built-in service cannot be changed or removed")]
    ServiceBuiltIn,
    /// No session has or had this token.
    #[error("no session has this token")]
    TokenNotFound,
    /// The token belongs or belonged to another session.
    #[error("the token is in use by another session")]
    TokenInUse,
    /// The login has as many sessions as it may have.
    #[error("the login has as many sessions as the limit allows")]
    SessionLimitReached,
    /// The login has more sessions than its limit can be judged over.
    #[error(
        "the login has up to {count} sessions, too many for this limit to make room; \
         end some with DELETE /v1/logins/{{login_id}}/sessions or POST /v1/sessions/bulk-delete first"
    )]
    LoginTooLarge {
        /// No more sessions than this live.
        count: u64,
    },
    /// No session may be opened for the login now.
    #[error("the login is banned")]
    LoginBanned,
    /// The login is not banned.
    #[error("the login is not banned")]
    BanNotFound,
    /// Nothing is known of the user of this login id.
    #[error("no profile is kept for this login id, and none can be loaded")]
    ProfileNotFound,
    /// Nobody loads profiles here.
    #[error("no loader of profiles is configured (SGW_PROFILE_LOADER_URL)")]
    LoaderNotConfigured,
    /// The attribute cannot be counted with.
    #[error("the attribute is not a 64-bit integer, or the sum would not be one")]
    AttributeNotANumber,
    /// With this change the session would hold too much.
    #[error(transparent)]
    AttributeLimit(AttributeLimit),
    /// The session is over; when, why and by whom is known as long as its tombstone is kept.
    #[error("the session has ended")]
    SessionEnded(Option<Ended>),
    /// A total of what cannot be counted exactly and soon.
    #[error(
        "`total` goes only with `login_id` alone, or without filters for who has `session.read` and not `:own`"
    )]
    NotCountable,
    /// The cursor is not one of this list.
    #[error("`cursor` is not one of this list")]
    CursorInvalid,
    /// What follows the cursor is no longer kept.
    #[error("the feed is no longer kept from this place on; start again without `after`")]
    CursorExpired,
    /// The session has another version than the precondition names.
    #[error("the session has another version than If-Match names")]
    VersionConflict,
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    IdempotencyKeyReused,
    /// What is kept under the idempotency key was sealed with another secret of the service.
    #[error(
        "what is kept under this Idempotency-Key cannot be read since the secret of the service was changed"
    )]
    IdempotencyKeyUnreadable,
    /// The store does not know: neither yes nor no.
    #[error("the store does not answer; nothing is known about the outcome")]
    StoreUnavailable(#[source] Arc<StoreError>),
    /// The store is not one that the gateway backs up.
    #[error("the gateway backs up an embedded store; Redis has tools of its own for its backups")]
    BackupNotPossible,
    /// The store has no room to keep more; what is there is read and ends as always.
    #[error("the store is full; nothing was done")]
    StoreFull,
    /// More is asked of the store at once than it can do; it was not asked for this.
    #[error("more is asked at once than can be done; ask again later")]
    Overloaded(#[source] Arc<StoreError>),
    /// The service that knows the users does not tell: neither yes nor no.
    #[error("the loader of profiles does not answer as it should; nothing is known about the user")]
    LoaderUnavailable,
    /// The gateway is at its limit of what it does at once.
    #[error("the gateway is busy")]
    Busy,
    /// A bug.
    #[error("internal error")]
    Internal(#[source] Arc<dyn Error + Send + Sync>),
}

/// The rule a field breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FieldRule {
    /// A length of time.
    #[error("must be 1 to {most} seconds")]
    Seconds {
        /// The longest.
        most: u64,
    },
    /// A length of time that may be none.
    #[error("must be at most {most} seconds")]
    SecondsAtMost {
        /// The longest.
        most: u64,
    },
    /// A number.
    #[error("must be {least} to {most}")]
    Number {
        /// The smallest.
        least: usize,
        /// The greatest.
        most: usize,
    },
    /// A list of login ids.
    #[error("must be 1 to {most} login ids")]
    LoginIds {
        /// The most there may be.
        most: usize,
    },
    /// A moment that is still to come.
    #[error("must be in the future")]
    Future,
    /// A filter that would mean everything.
    #[error("must name at least one condition")]
    Condition,
    /// Attributes that are too many or too large.
    #[error(transparent)]
    Attributes(AttributeLimit),
}

impl GatewayError {
    pub(super) fn invalid(field: &'static str, rule: FieldRule) -> Self {
        Self::InvalidField { field, rule }
    }

    /// A bug, or a machine that fails.
    pub fn internal(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(error))
    }

    /// Whether this is an error of ours after which certainly nothing was done.
    #[must_use]
    pub fn is_without_effect(&self) -> bool {
        if let Self::StoreUnavailable(error) = self {
            matches!(
                **error,
                StoreError::WritesStopped | StoreError::NewerFormat { .. }
            )
        } else {
            matches!(self, Self::Busy | Self::StoreFull | Self::Overloaded(_))
        }
    }
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        Arc::new(error).into()
    }
}

/// An error that several requests were waiting for.
impl From<Arc<StoreError>> for GatewayError {
    fn from(error: Arc<StoreError>) -> Self {
        match *error {
            StoreError::Full => Self::StoreFull,
            StoreError::Overloaded => Self::Overloaded(error),
            StoreError::Corrupt { .. }
            | StoreError::TimedOut
            | StoreError::Unavailable(_)
            | StoreError::WritesStopped
            | StoreError::NewerFormat { .. } => Self::StoreUnavailable(error),
        }
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SessionUnknown => Self::SessionNotFound,
            Refusal::SessionEnded(tombstone) => Self::SessionEnded(Some(tombstone.ended)),
            Refusal::VersionConflict => Self::VersionConflict,
            Refusal::TokenInUse => Self::TokenInUse,
            Refusal::TokenUnknown => Self::TokenNotFound,
            // Whoever opens sessions finds out how many there are.
            Refusal::LimitReached | Refusal::LoginTooLarge => Self::SessionLimitReached,
            Refusal::LoginBanned => Self::LoginBanned,
            Refusal::BanUnknown => Self::BanNotFound,
            Refusal::Unchangeable(Unchangeable::AttributeMissing) => Self::AttributeNotFound,
            Refusal::Unchangeable(Unchangeable::NotANumber) => Self::AttributeNotANumber,
            Refusal::Unchangeable(Unchangeable::Limit(limit)) => Self::AttributeLimit(limit),
            Refusal::ServiceExists => Self::ServiceExists,
            Refusal::ServiceUnknown => Self::ServiceNotFound,
            Refusal::NotHeld(grant) => Self::PermissionDenied(grant),
            Refusal::CursorInvalid => Self::CursorInvalid,
            Refusal::CursorExpired => Self::CursorExpired,
        }
    }
}

impl From<OpError> for GatewayError {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Refused(refusal) => refusal.into(),
            OpError::Store(error) => error.into(),
        }
    }
}

impl From<FollowError> for GatewayError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Full => Self::Busy,
            FollowError::Feed(error) => error.into(),
        }
    }
}

impl From<EntropyError> for GatewayError {
    fn from(error: EntropyError) -> Self {
        Self::internal(error)
    }
}

impl From<SealError> for GatewayError {
    fn from(error: SealError) -> Self {
        Self::internal(error)
    }
}
