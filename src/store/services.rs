//! Registered services.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{OpError, StoreError};
use crate::model::id::ServiceId;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::service::{Service, ServiceRecord, ServiceUpdate};
use crate::model::token::CredentialHash;
use crate::rules::refusal::Refusal;
use crate::rules::services::{NewService, ServiceRequest};

/// Registered services.
#[async_trait]
pub trait ServiceStore: Debug + Send + Sync {
    /// One service with the hashes of its secrets.
    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError>;

    /// The copy of a service that this node keeps, if it keeps one that is not older than its bound. Stores keep none;
    /// a [`cache`](super::cache) does.
    fn recall_service(&self, _service_id: &ServiceId) -> Option<Arc<ServiceRecord>> {
        None
    }

    /// At most so many services whose ids come after this text, in the order of their ids; and the id to go on after, if
    /// there are more.
    async fn services_after(
        &self,
        after: &str,
        limit: PageLimit,
    ) -> Result<(Vec<Service>, Option<String>), StoreError>;

    /// Does what [`ServiceRequest::decide`] says with the record there is, and appends its event, in one step.
    async fn write_service(
        &self,
        service_id: &ServiceId,
        request: ServiceRequest,
        by: &ServiceId,
    ) -> Result<Service, OpError>;
}

/// Starts the cursors of service lists; the id of the last service follows.
const CURSOR: u8 = b'v';

impl dyn ServiceStore + '_ {
    /// One page of services in the order of their ids.
    pub async fn list_services(
        &self,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Service>, OpError> {
        let after = match cursor.map(Cursor::place) {
            None => None,
            Some([CURSOR, id @ ..]) => Some(place(id)?),
            Some(_) => return Err(Refusal::CursorInvalid.into()),
        };
        let after = after.as_ref().map_or("", ServiceId::as_str);
        let (items, last) = self.services_after(after, limit).await?;
        let next = last.map(|id| Cursor::new([&[CURSOR], id.as_bytes()].concat()));
        Ok(Page { items, next })
    }

    /// Registers a service.
    pub async fn register(&self, new: NewService, by: &ServiceId) -> Result<Service, OpError> {
        let service_id = new.service_id.clone();
        let request = ServiceRequest::Register(new);
        self.write_service(&service_id, request, by).await
    }

    /// Changes a service.
    pub async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let request = ServiceRequest::Update(update);
        self.write_service(service_id, request, by).await
    }

    /// Gives a service a new secret.
    pub async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &ServiceId,
    ) -> Result<Service, OpError> {
        let request = ServiceRequest::RotateSecret { secret, grace };
        self.write_service(service_id, request, by).await
    }

    /// Removes a service.
    pub async fn remove_service(
        &self,
        service_id: &ServiceId,
        by: &ServiceId,
    ) -> Result<(), OpError> {
        let request = ServiceRequest::Remove;
        self.write_service(service_id, request, by).await?;
        Ok(())
    }
}

fn place(id: &[u8]) -> Result<ServiceId, Refusal> {
    let text = std::str::from_utf8(id).or(Err(Refusal::CursorInvalid))?;
    ServiceId::parse(text).or(Err(Refusal::CursorInvalid))
}
