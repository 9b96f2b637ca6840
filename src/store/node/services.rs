//! Operations on services, as callers ask for them: each is timed, and what the cache knew is forgotten when one is
//! written.

use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::cache::Cache;
use super::operations::Operation;
use crate::model::id::ServiceId;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::service::{Manager, Service, ServiceRecord, ServiceUpdate};
use crate::model::token::CredentialHash;
use crate::rules::refusal::Refusal;
use crate::rules::services::{NewService, ServiceRequest};
use crate::store::{OpError, ServiceStore, StoreError};

/// Starts the cursors of service lists; the id of the last service follows.
const CURSOR: u8 = b'v';

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
        let list = async {
            let after = match cursor.map(Cursor::position) {
                None => None,
                Some([CURSOR, id @ ..]) => Some(position(id)?),
                Some(_) => return Err(Refusal::CursorInvalid.into()),
            };
            let after = after.as_ref().map_or("", ServiceId::as_str);
            let (items, last) = self.engine().services_after(after, limit).await?;
            let next = last.map(|id| Cursor::new([&[CURSOR], id.as_bytes()].concat()));
            Ok::<_, OpError>(Page { items, next })
        };
        self.timed(Operation::ListServices, list).await
    }

    /// Registers a service.
    pub async fn register(&self, new: NewService, by: &Manager) -> Result<Service, OpError> {
        let service_id = new.service_id.clone();
        let request = ServiceRequest::Register(new);
        self.write(&service_id, request, by).await
    }

    /// Changes a service.
    pub async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &Manager,
    ) -> Result<Service, OpError> {
        let request = ServiceRequest::Update(update);
        self.write(service_id, request, by).await
    }

    /// Gives a service a new secret.
    pub async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &Manager,
    ) -> Result<Service, OpError> {
        let request = ServiceRequest::RotateSecret { secret, grace };
        self.write(service_id, request, by).await
    }

    /// Removes a service.
    pub async fn remove_service(
        &self,
        service_id: &ServiceId,
        by: &Manager,
    ) -> Result<(), OpError> {
        let request = ServiceRequest::Remove;
        self.write(service_id, request, by).await?;
        Ok(())
    }

    async fn write(
        &self,
        service_id: &ServiceId,
        request: ServiceRequest,
        by: &Manager,
    ) -> Result<Service, OpError> {
        let operation = match &request {
            ServiceRequest::Register(_) => Operation::Register,
            ServiceRequest::Update(_) => Operation::UpdateService,
            ServiceRequest::RotateSecret { .. } => Operation::RotateSecret,
            ServiceRequest::Remove => Operation::RemoveService,
        };
        let write = self.engine().write_service(service_id, request, by);
        let written = self.timed(operation, write).await;
        self.invalidate(Cache::invalidate_services);
        written
    }
}

fn position(id: &[u8]) -> Result<ServiceId, Refusal> {
    let text = std::str::from_utf8(id).or(Err(Refusal::CursorInvalid))?;
    ServiceId::parse(text).or(Err(Refusal::CursorInvalid))
}
