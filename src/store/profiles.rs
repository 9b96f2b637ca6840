//! Profiles of logins, and who loads them.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::profile::Profile;
use crate::rules::profiles::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile, ProfileRecord,
    ProfileRequest, begin_load, end_load,
};

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

impl dyn ProfileStore + '_ {
    /// Puts a profile in the place of any there is. A load that is under way comes to nothing.
    pub async fn put_profile(
        &self,
        login_id: &LoginId,
        new: NewProfile,
    ) -> Result<Profile, StoreError> {
        let request = ProfileRequest::Put(new.clone());
        let facts = self.write_profile(login_id, request).await?;
        Ok(new.at(facts.now))
    }

    /// The profile of a login as long as it is kept, fresh or stale.
    pub async fn find_profile(
        &self,
        login_id: &LoginId,
    ) -> Result<Option<FoundProfile>, StoreError> {
        let facts = self.load_profile(login_id).await?;
        Ok(facts.record.found(facts.now))
    }

    /// Removes a profile, stale or not, and tells whether one was there. A load that is under way comes to nothing.
    pub async fn remove_profile(&self, login_id: &LoginId) -> Result<bool, StoreError> {
        let request = ProfileRequest::Remove;
        let facts = self.write_profile(login_id, request).await?;
        Ok(facts.record.kept.is_some())
    }

    /// Asks to load a profile. Who is granted that holds a lease, after which the next one may.
    pub async fn begin_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        cause: LoadCause,
        lease: Duration,
    ) -> Result<LoadClaim, StoreError> {
        let request = ProfileRequest::BeginLoad {
            ticket,
            cause,
            lease,
        };
        let facts = self.write_profile(login_id, request).await?;
        Ok(begin_load(&facts.record, ticket, cause, facts.now))
    }

    /// Brings a load to its end, unless it was overtaken, which it is when its lease is over.
    pub async fn end_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        loaded: Loaded,
    ) -> Result<LoadEnd, StoreError> {
        let request = ProfileRequest::EndLoad {
            ticket,
            loaded: loaded.clone(),
        };
        let facts = self.write_profile(login_id, request).await?;
        Ok(end_load(&facts.record, ticket, &loaded, facts.now))
    }
}
