//! Operations on services, events, claims and profiles, and the figures, as callers ask for them.

use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::cache::Cache;
use super::observer::Observer;
use super::operations::Operation;
use crate::model::event::EventType;
use crate::model::id::{LoginId, ServiceId};
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::profile::Profile;
use crate::model::service::{Service, ServiceRecord, ServiceUpdate};
use crate::model::token::CredentialHash;
use crate::store::{
    Census, Claim, ClaimKey, ClaimStore, EventFeed, EventPage, FeedPlace, Figures, FoundProfile,
    LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile, NewService, OpError,
    ProfileStore, ServiceStore, StoreError, StoreFigures,
};

impl Handle<dyn ServiceStore> {
    /// The copy of a service that this node keeps, if it keeps one that is not older than its bound.
    #[must_use]
    pub fn recall_service(&self, service_id: &ServiceId) -> Option<Arc<ServiceRecord>> {
        self.cache.as_ref()?.service(service_id)
    }

    /// One service with the hashes of its secrets.
    pub async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        let cache = self.cache.as_ref();
        let begun = cache.map(|cache| cache.begin_service());
        let find = self.engine().find_service(service_id);
        let found = self.timed(Operation::FindService, find).await?;
        if let (Some(cache), Some(begun), Some(record)) = (cache, begun, &found) {
            cache.keep_service(record, begun);
        }
        Ok(found)
    }

    /// One page of services in the order of their ids.
    pub async fn list_services(
        &self,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Service>, OpError> {
        let list = self.engine().list_services(limit, cursor);
        self.timed(Operation::ListServices, list).await
    }

    /// Registers a service if its id is free.
    pub async fn register(&self, new: NewService, by: &ServiceId) -> Result<Service, OpError> {
        self.written(Operation::Register, self.engine().register(new, by))
            .await
    }

    /// Changes a service.
    pub async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let write = self.engine().update_service(service_id, update, by);
        self.written(Operation::UpdateService, write).await
    }

    /// Gives a service a new secret.
    pub async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let write = self.engine().rotate_secret(service_id, secret, grace, by);
        self.written(Operation::RotateSecret, write).await
    }

    /// Removes a service.
    pub async fn remove_service(
        &self,
        service_id: &ServiceId,
        by: &ServiceId,
    ) -> Result<(), OpError> {
        let write = self.engine().remove_service(service_id, by);
        self.written(Operation::RemoveService, write).await
    }

    /// Runs a write to a service.
    async fn written<T>(
        &self,
        operation: Operation,
        write: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, OpError> {
        let outcome = self.timed(operation, write).await;
        self.invalidate(Cache::invalidate_services);
        outcome
    }
}

impl Handle<dyn EventFeed> {
    /// Events after a place, of the given types (empty: of all).
    pub async fn events(
        &self,
        from: &FeedPlace,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError> {
        let read = self.engine().events(from, types, limit);
        self.timed(Operation::Events, read).await
    }
}

impl Handle<dyn ClaimStore> {
    /// Claims a key for a request with this fingerprint.
    pub async fn claim(
        &self,
        key: ClaimKey,
        fingerprint: [u8; 32],
        sealed_draw: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        let claim = self.engine().claim(key, fingerprint, sealed_draw);
        self.timed(Operation::Claim, claim).await
    }

    /// Keeps the answer of a claimed request.
    pub async fn keep_answer(
        &self,
        key: ClaimKey,
        sealed_answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        let keep = self.engine().keep_answer(key, sealed_answer);
        self.timed(Operation::KeepAnswer, keep).await
    }

    /// Gives a claim up, as if the key had never been used.
    pub async fn release(&self, key: ClaimKey) -> Result<(), StoreError> {
        self.timed(Operation::Release, self.engine().release(key))
            .await
    }
}

impl Handle<dyn ProfileStore> {
    /// Puts a profile in the place of any there is.
    pub async fn put_profile(
        &self,
        login_id: &LoginId,
        new: NewProfile,
    ) -> Result<Profile, StoreError> {
        let put = self.engine().put_profile(login_id, new);
        self.timed(Operation::PutProfile, put).await
    }

    /// The profile of a login as long as it is kept, fresh or stale.
    pub async fn find_profile(
        &self,
        login_id: &LoginId,
    ) -> Result<Option<FoundProfile>, StoreError> {
        let find = self.engine().find_profile(login_id);
        self.timed(Operation::FindProfile, find).await
    }

    /// Removes a profile, stale or not, and tells whether one was there.
    pub async fn remove_profile(&self, login_id: &LoginId) -> Result<bool, StoreError> {
        let remove = self.engine().remove_profile(login_id);
        self.timed(Operation::RemoveProfile, remove).await
    }

    /// Asks to load a profile.
    pub async fn begin_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        cause: LoadCause,
        lease: Duration,
    ) -> Result<LoadClaim, StoreError> {
        let begin = self.engine().begin_load(login_id, ticket, cause, lease);
        self.timed(Operation::BeginLoad, begin).await
    }

    /// Brings a load to its end, unless it was overtaken.
    pub async fn end_load(
        &self,
        login_id: &LoginId,
        ticket: LoadTicket,
        loaded: Loaded,
    ) -> Result<LoadEnd, StoreError> {
        let end = self.engine().end_load(login_id, ticket, loaded);
        self.timed(Operation::EndLoad, end).await
    }
}

impl Handle<dyn StoreFigures> {
    /// Counts the sessions that live now: [`StoreFigures::census`].
    pub async fn census(&self) -> Result<Census, StoreError> {
        self.timed(Operation::Census, self.engine().census()).await
    }

    /// What this node sees, from memory.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let operations = self.observer.as_ref().map(Observer::figures);
        Figures {
            operations: operations.unwrap_or_default(),
            cache: self.cache.as_ref().map(|cache| cache.figures()),
            ..self.engine().figures()
        }
    }
}
