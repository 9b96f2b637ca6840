//! What a client is told of an outcome in the store.

use std::sync::Arc;

use super::ApiError;
use crate::model::record::Unchangeable;
use crate::store::node::follow::FollowError;
use crate::store::{OpError, Refusal, StoreError};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Arc::new(error).into()
    }
}

/// An error that several requests were waiting for.
impl From<Arc<StoreError>> for ApiError {
    fn from(error: Arc<StoreError>) -> Self {
        match *error {
            StoreError::Corrupt { .. } => Self::Internal(error),
            StoreError::TimedOut
            | StoreError::Overloaded
            | StoreError::Unavailable(_)
            | StoreError::WritesStopped
            | StoreError::NewerFormat { .. } => Self::StoreUnavailable(error),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SessionUnknown => Self::SessionNotFound,
            Refusal::SessionEnded(tombstone) => Self::SessionEnded(tombstone.ended),
            Refusal::VersionConflict => Self::VersionConflict,
            Refusal::TokenInUse => Self::TokenInUse,
            Refusal::TokenUnknown => Self::TokenNotFound,
            Refusal::LimitReached => Self::SessionLimitReached,
            Refusal::LoginBanned => Self::LoginBanned,
            Refusal::BanUnknown => Self::BanNotFound,
            Refusal::Unchangeable(Unchangeable::AttributeMissing) => Self::AttributeNotFound,
            Refusal::Unchangeable(Unchangeable::NotANumber) => Self::AttributeNotANumber,
            Refusal::Unchangeable(Unchangeable::Limit(limit)) => {
                Self::InvalidRequest(limit.to_string())
            }
            Refusal::ServiceExists => Self::ServiceExists,
            Refusal::ServiceUnknown => Self::ServiceNotFound,
            Refusal::CursorInvalid => {
                Self::InvalidRequest("`cursor` is not one of this list".to_owned())
            }
            Refusal::CursorExpired => Self::CursorExpired,
        }
    }
}

impl From<FollowError> for ApiError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Full => Self::Busy,
            FollowError::Feed(error) => error.into(),
        }
    }
}

impl From<OpError> for ApiError {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Refused(refusal) => refusal.into(),
            OpError::Store(error) => error.into(),
        }
    }
}
