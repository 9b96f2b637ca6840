//! Operations on profiles, as callers ask for them: each is timed.

use std::time::Duration;

use super::Handle;
use super::operations::Operation;
use crate::model::id::LoginId;
use crate::model::profile::Profile;
use crate::rules::profiles::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile, ProfileRequest,
    begin_load, end_load,
};
use crate::store::{ProfileFacts, ProfileStore, StoreError};

impl Handle<dyn ProfileStore> {
    /// Puts a profile in the place of any there is. A load that is under way comes to nothing.
    pub async fn put_profile(
        &self,
        login_id: &LoginId,
        new: NewProfile,
    ) -> Result<Profile, StoreError> {
        let request = ProfileRequest::Put(new.clone());
        let facts = self.write(login_id, request).await?;
        Ok(new.at(facts.now))
    }

    /// The profile of a login as long as it is kept, fresh or stale.
    pub async fn find_profile(
        &self,
        login_id: &LoginId,
    ) -> Result<Option<FoundProfile>, StoreError> {
        let load = self.engine().load_profile(login_id);
        let facts = self.timed(Operation::FindProfile, load).await?;
        Ok(facts.record.found(facts.now))
    }

    /// Removes a profile, stale or not, and tells whether one was there. A load that is under way comes to nothing.
    pub async fn remove_profile(&self, login_id: &LoginId) -> Result<bool, StoreError> {
        let request = ProfileRequest::Remove;
        let facts = self.write(login_id, request).await?;
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
        let facts = self.write(login_id, request).await?;
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
        let facts = self.write(login_id, request).await?;
        Ok(end_load(&facts.record, ticket, &loaded, facts.now))
    }

    async fn write(
        &self,
        login_id: &LoginId,
        request: ProfileRequest,
    ) -> Result<ProfileFacts, StoreError> {
        let operation = match &request {
            ProfileRequest::Put(_) => Operation::PutProfile,
            ProfileRequest::Remove => Operation::RemoveProfile,
            ProfileRequest::BeginLoad { .. } => Operation::BeginLoad,
            ProfileRequest::EndLoad { .. } => Operation::EndLoad,
        };
        let write = self.engine().write_profile(login_id, request);
        self.timed(operation, write).await
    }
}
