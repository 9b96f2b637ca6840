//! Services, events, claims and profiles, observed; and the figures, with what was observed.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Observer;
use super::operations::Operation;
use crate::model::event::EventType;
use crate::model::id::{LoginId, ServiceId};
use crate::model::page::{Cursor, PageLimit};
use crate::model::service::{Service, ServiceRecord};
use crate::rules::profiles::ProfileRequest;
use crate::rules::services::ServiceRequest;
use crate::store::{
    Census, Claim, ClaimKey, ClaimStore, EventFeed, EventPage, FeedPlace, Figures, Listener,
    OpError, Part, ProfileFacts, ProfileStore, Progress, ServiceStore, StoreError, StoreFigures,
};

/// Makes the type that stands over one contract.
macro_rules! over {
    ($name:ident, $contract:ident) => {
        #[derive(Debug)]
        pub(super) struct $name {
            store: Arc<dyn $contract>,
            observer: Observer,
        }

        impl $name {
            pub(super) fn new(store: Arc<dyn $contract>, observer: Observer) -> Self {
                Self { store, observer }
            }
        }
    };
}

over!(ObservedServices, ServiceStore);
over!(ObservedEvents, EventFeed);
over!(ObservedClaims, ClaimStore);
over!(ObservedProfiles, ProfileStore);
over!(ObservedFigures, StoreFigures);

#[async_trait]
impl ServiceStore for ObservedServices {
    fn recall_service(&self, service_id: &ServiceId) -> Option<Arc<ServiceRecord>> {
        self.store.recall_service(service_id)
    }

    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        let run = self.store.find_service(service_id);
        self.observer.see(Operation::FindService, run).await
    }

    async fn services_after(
        &self,
        after: &str,
        limit: PageLimit,
    ) -> Result<(Vec<Service>, Option<String>), StoreError> {
        let run = self.store.services_after(after, limit);
        self.observer.see(Operation::ListServices, run).await
    }

    async fn write_service(
        &self,
        service_id: &ServiceId,
        request: ServiceRequest,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let operation = match &request {
            ServiceRequest::Register(_) => Operation::Register,
            ServiceRequest::Update(_) => Operation::UpdateService,
            ServiceRequest::RotateSecret { .. } => Operation::RotateSecret,
            ServiceRequest::Remove => Operation::RemoveService,
        };
        let run = self.store.write_service(service_id, request, by);
        self.observer.see(operation, run).await
    }
}

#[async_trait]
impl EventFeed for ObservedEvents {
    async fn events(
        &self,
        from: &FeedPlace,
        types: &[EventType],
        limit: PageLimit,
    ) -> Result<EventPage, OpError> {
        let run = self.store.events(from, types, limit);
        self.observer.see(Operation::Events, run).await
    }

    fn progress(&self, from: &Cursor) -> Option<Box<dyn Progress>> {
        self.store.progress(from)
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.store.listen(listener);
    }

    fn heard_until(&self, part: Part) -> Option<Instant> {
        self.store.heard_until(part)
    }
}

#[async_trait]
impl ClaimStore for ObservedClaims {
    async fn claim(
        &self,
        key: ClaimKey,
        fingerprint: [u8; 32],
        sealed_draw: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        let run = self.store.claim(key, fingerprint, sealed_draw);
        self.observer.see(Operation::Claim, run).await
    }

    async fn keep_answer(&self, key: ClaimKey, sealed_answer: Vec<u8>) -> Result<(), StoreError> {
        let run = self.store.keep_answer(key, sealed_answer);
        self.observer.see(Operation::KeepAnswer, run).await
    }

    async fn release(&self, key: ClaimKey) -> Result<(), StoreError> {
        let run = self.store.release(key);
        self.observer.see(Operation::Release, run).await
    }
}

#[async_trait]
impl ProfileStore for ObservedProfiles {
    async fn load_profile(&self, login_id: &LoginId) -> Result<ProfileFacts, StoreError> {
        let run = self.store.load_profile(login_id);
        self.observer.see(Operation::FindProfile, run).await
    }

    async fn write_profile(
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
        let run = self.store.write_profile(login_id, request);
        self.observer.see(operation, run).await
    }
}

#[async_trait]
impl StoreFigures for ObservedFigures {
    async fn census(&self) -> Result<Census, StoreError> {
        let run = self.store.census();
        self.observer.see(Operation::Census, run).await
    }

    fn figures(&self) -> Figures {
        Figures {
            operations: self.observer.operations.figures(),
            ..self.store.figures()
        }
    }
}
