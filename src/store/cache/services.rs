//! Services over the cache.

use std::sync::Arc;

use async_trait::async_trait;

use super::Proof;
use super::copies::Copies;
use crate::model::id::ServiceId;
use crate::model::page::PageLimit;
use crate::model::service::{Service, ServiceRecord};
use crate::rules::services::ServiceRequest;
use crate::store::{OpError, Part, ServiceStore, StoreError};

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

    async fn services_after(
        &self,
        after: &str,
        limit: PageLimit,
    ) -> Result<(Vec<Service>, Option<String>), StoreError> {
        self.store.services_after(after, limit).await
    }

    async fn write_service(
        &self,
        service_id: &ServiceId,
        request: ServiceRequest,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        self.written(self.store.write_service(service_id, request, by).await)
    }
}
