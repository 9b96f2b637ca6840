//! Profiles of logins, and who loads them.

use std::fmt::Debug;

use async_trait::async_trait;

use super::StoreError;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::rules::profiles::{ProfileRecord, ProfileRequest};

/// A record with the moment, by the store's clock, at which it stood there. All of it counts at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFacts {
    /// What stood there.
    pub record: ProfileRecord,
    /// When.
    pub now: Timestamp,
}

/// Profiles of logins, each with the load of it that is under way. They are copies of what others know, so they tell
/// no events.
#[async_trait]
pub trait ProfileStore: Debug + Send + Sync {
    /// What is known of a login.
    async fn load_profile(&self, login_id: &LoginId) -> Result<ProfileFacts, StoreError>;

    /// Puts what [`ProfileRequest::decide`] says in the place of the record there is, in one step, and tells what it was
    /// decided from.
    async fn write_profile(
        &self,
        login_id: &LoginId,
        request: ProfileRequest,
    ) -> Result<ProfileFacts, StoreError>;
}
