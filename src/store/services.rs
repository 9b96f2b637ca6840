//! Registered services.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{OpError, StoreError};
use crate::model::id::ServiceId;
use crate::model::page::PageLimit;
use crate::model::service::{Manager, Service, ServiceRecord};
use crate::rules::services::ServiceRequest;

/// Registered services.
#[async_trait]
pub trait ServiceStore: Debug + Send + Sync {
    /// One service with the hashes of its secrets.
    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError>;

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
        by: &Manager,
    ) -> Result<Service, OpError>;
}
