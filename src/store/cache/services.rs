//! Services over the cache.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Proof;
use super::copies::Copies;
use crate::model::id::ServiceId;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::service::{Service, ServiceRecord, ServiceUpdate};
use crate::model::token::CredentialHash;
use crate::store::{NewService, OpError, Part, ServiceStore, StoreError};

/// Keeps copies of services that were found.
#[derive(Debug)]
pub(super) struct CachedServices {
    store: Arc<dyn ServiceStore>,
    copies: Arc<Copies>,
    proof: Proof,
}

impl CachedServices {
    pub(super) fn new(store: Arc<dyn ServiceStore>, copies: Arc<Copies>, proof: Proof) -> Self {
        Self {
            store,
            copies,
            proof,
        }
    }

    /// Whatever came of a write, what was known before it is not known any more.
    fn written<T>(&self, outcome: T) -> T {
        self.copies.void_part(Part::Services);
        outcome
    }
}

#[async_trait]
impl ServiceStore for CachedServices {
    fn recall_service(&self, service_id: &ServiceId) -> Option<Arc<ServiceRecord>> {
        let proven = self.proof.holds(Part::Services);
        let known = proven.then(|| self.copies.service(service_id)).flatten();
        self.copies.asked_of_services.count(known.is_some());
        known
    }

    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        let begun = self.copies.begin_services();
        let found = self.store.find_service(service_id).await?;
        if let Some(record) = &found {
            self.copies.keep_service(record.clone(), begun);
        }
        Ok(found)
    }

    async fn register(&self, new: NewService, by: &ServiceId) -> Result<Service, OpError> {
        self.written(self.store.register(new, by).await)
    }

    async fn list_services(
        &self,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Service>, OpError> {
        self.store.list_services(limit, cursor).await
    }

    async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        self.written(self.store.update_service(service_id, update, by).await)
    }

    async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let rotated = self.store.rotate_secret(service_id, secret, grace, by);
        self.written(rotated.await)
    }

    async fn remove_service(&self, service_id: &ServiceId, by: &ServiceId) -> Result<(), OpError> {
        self.written(self.store.remove_service(service_id, by).await)
    }
}
