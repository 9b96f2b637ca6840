//! Registered services.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::{Mark, OpError, StoreError};
use crate::model::id::ServiceId;
use crate::model::limit::SessionLimit;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::Permissions;
use crate::model::service::{Service, ServiceName, ServiceRecord, ServiceUpdate};
use crate::model::token::CredentialHash;

/// A service to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewService {
    /// Its id.
    pub service_id: ServiceId,
    /// What people call it.
    pub service_name: ServiceName,
    /// What it may do.
    pub permissions: Permissions,
    /// How many sessions a login may have when it opens one.
    pub session_limit: Option<SessionLimit>,
    /// SHA-256 of its secret.
    pub secret: CredentialHash,
    /// Set when the registration may be a repetition.
    pub mark: Option<Mark>,
}

/// Registered services. Each write appends its event in the same step.
#[async_trait]
pub trait ServiceStore: Debug + Send + Sync {
    /// Registers a service if its id is free. One with a mark may be a repetition: if the service there has the
    /// same secret, it is answered as it is.
    async fn register(&self, new: NewService, by: &ServiceId) -> Result<Service, OpError>;

    /// One service with the hashes of its secrets.
    async fn find_service(
        &self,
        service_id: &ServiceId,
    ) -> Result<Option<ServiceRecord>, StoreError>;

    /// One page of services in the order of their ids.
    async fn list_services(
        &self,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Service>, OpError>;

    /// Changes a service.
    async fn update_service(
        &self,
        service_id: &ServiceId,
        update: ServiceUpdate,
        by: &ServiceId,
    ) -> Result<Service, OpError>;

    /// Gives a service a new secret; the one before it stays good for `grace`, any older one does not. A repetition
    /// with the same secret changes nothing.
    async fn rotate_secret(
        &self,
        service_id: &ServiceId,
        secret: CredentialHash,
        grace: Duration,
        by: &ServiceId,
    ) -> Result<Service, OpError>;

    /// Removes a service.
    async fn remove_service(&self, service_id: &ServiceId, by: &ServiceId) -> Result<(), OpError>;
}
