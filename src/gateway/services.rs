//! Services: the callers of the gateway register, read, change and remove each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cursors::Binding;
use super::{Caller, FieldRule, Gateway, GatewayError, limit_within};
use crate::entropy::Entropy;
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::model::limit::SessionLimit;
use crate::model::page::{Page, PageLimit, SealedCursor};
use crate::model::permission::{Permission, Permissions};
use crate::model::quota::{QuotaUse, Quotas};
use crate::model::record::Field;
use crate::model::service::{Service, ServiceName, ServiceUpdate};
use crate::model::token::ServiceSecret;
use crate::rules::refusal::Refusal;
use crate::rules::services::NewService;
use crate::store::OpError;

/// The longest grace of a rotated secret: time enough for any rollout, and an end to a leaked secret.
const MAX_GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A service to be registered.
#[derive(Debug)]
pub struct RegisterService {
    /// Its id, for good.
    pub service_id: ServiceId,
    /// What people call it.
    pub service_name: ServiceName,
    /// What it may do.
    pub permissions: Permissions,
    /// Its secret, in place of one that is made here.
    pub secret: Option<ServiceSecret>,
    /// How many sessions a login may have when it opens one.
    pub session_limit: Option<SessionLimit>,
    /// How much it may take of what all services share.
    pub quotas: Quotas,
}

/// What is kept of a secret that was shown, to answer a repetition with.
#[derive(Debug, Serialize, Deserialize)]
pub struct SecretBefore {
    service_id: ServiceId,
    registered_at: Timestamp,
    secret: ServiceSecret,
}

impl SecretBefore {
    /// What is kept of this one.
    #[must_use]
    pub fn of(service: &Service, secret: &ServiceSecret) -> Self {
        Self {
            service_id: service.service_id.clone(),
            registered_at: service.created_at,
            secret: secret.clone(),
        }
    }
}

impl Gateway {
    /// What a repetition is answered with that was shown a secret before: the service as it is now, unless it is gone or
    /// another one has its id.
    pub async fn secret_before(
        &self,
        before: SecretBefore,
    ) -> Result<(Service, ServiceSecret), GatewayError> {
        let service = self.find_service(&before.service_id).await?;
        if service.created_at != before.registered_at {
            return Err(GatewayError::ServiceNotFound);
        }
        Ok((service, before.secret))
    }

    /// Registers a service. Its secret is kept nowhere.
    pub async fn register_service(
        &self,
        caller: &Caller,
        entropy: &Entropy,
        asked: RegisterService,
    ) -> Result<(Service, ServiceSecret), GatewayError> {
        let secret = match asked.secret {
            Some(chosen) => chosen,
            None => ServiceSecret::made(&*entropy.secret()?),
        };
        let new = NewService {
            service_id: asked.service_id,
            service_name: asked.service_name,
            permissions: asked.permissions,
            session_limit: asked.session_limit.map(service_limit).transpose()?,
            quotas: asked.quotas,
            secret: secret.hash(),
            operation_id: entropy.operation_id(),
        };
        let services = &self.stores.services;
        let registered = services.register(new, &caller.manager()).await;
        Ok((self.noted(caller, registered)?, secret))
    }

    /// One page of services in the order of their ids.
    pub async fn list_services(
        &self,
        caller: &Caller,
        limit: PageLimit,
        cursor: Option<&SealedCursor>,
    ) -> Result<Page<Service, SealedCursor>, GatewayError> {
        let binding = Binding::new("services", caller, &())?;
        let place = self.place(cursor, &binding).await?;
        let page = self.stores.services.list_services(limit, place.as_ref());
        self.sealed(page.await?, binding).await
    }

    /// One service.
    pub async fn find_service(&self, service_id: &ServiceId) -> Result<Service, GatewayError> {
        let record = self.stores.services.find_service(service_id).await?;
        let record = record.ok_or(GatewayError::ServiceNotFound)?;
        Ok(record.service)
    }

    /// How much of its quotas a service takes: any service may ask of itself.
    pub async fn service_usage(
        &self,
        caller: &Caller,
        service_id: &ServiceId,
    ) -> Result<Vec<QuotaUse>, GatewayError> {
        if caller.id() != service_id {
            let needed = Permission::ServiceRead;
            self.authenticator.permit(&caller.service, needed)?;
        }
        let service = self.find_service(service_id).await?;
        let now = self.stores.sessions.now();
        let quotas = &self.authenticator.quotas;
        let usage = quotas.usage(&service, &self.stores.stats, now).await?;
        Ok(usage.to_vec())
    }

    /// Changes a service.
    pub async fn update_service(
        &self,
        caller: &Caller,
        service_id: &ServiceId,
        update: ServiceUpdate,
    ) -> Result<Service, GatewayError> {
        self.refuse_built_in(caller, service_id)?;
        if let Field::Set(limit) = update.session_limit {
            service_limit(limit)?;
        }
        let services = &self.stores.services;
        let manager = caller.manager();
        let updated = services.update_service(service_id, update, &manager).await;
        self.noted(caller, updated)
    }

    /// Removes a service.
    pub async fn remove_service(
        &self,
        caller: &Caller,
        service_id: &ServiceId,
    ) -> Result<(), GatewayError> {
        self.refuse_built_in(caller, service_id)?;
        let services = &self.stores.services;
        let removed = services.remove_service(service_id, &caller.manager()).await;
        self.noted(caller, removed)
    }

    /// Gives a service a new secret. The one before it stays good for `grace`, any older one does not.
    pub async fn rotate_service_secret(
        &self,
        caller: &Caller,
        entropy: &Entropy,
        service_id: &ServiceId,
        grace: Duration,
    ) -> Result<(Service, ServiceSecret), GatewayError> {
        let rotates_itself = caller.id().is_admin() && self.authenticator.admin.load().0.is_none();
        if !rotates_itself {
            self.refuse_built_in(caller, service_id)?;
        }
        if grace > MAX_GRACE {
            let most = MAX_GRACE.as_secs();
            let rule = FieldRule::SecondsAtMost { most };
            return Err(GatewayError::invalid("grace_seconds", rule));
        }
        let secret = ServiceSecret::made(&*entropy.secret()?);
        let services = &self.stores.services;
        let (hash, manager) = (secret.hash(), caller.manager());
        let rotated = services
            .rotate_secret(service_id, hash, grace, &manager)
            .await;
        Ok((self.noted(caller, rotated)?, secret))
    }

    /// Notes who wanted more than it holds.
    fn noted<T>(&self, caller: &Caller, written: Result<T, OpError>) -> Result<T, GatewayError> {
        written.map_err(|error| match error {
            OpError::Refused(Refusal::NotHeld(grant)) => {
                self.authenticator.refusals.deny(caller.id(), grant)
            }
            OpError::Refused(_) | OpError::Store(_) => error.into(),
        })
    }

    /// Also who holds everything may not touch `admin`.
    fn refuse_built_in(&self, caller: &Caller, service_id: &ServiceId) -> Result<(), GatewayError> {
        if !service_id.is_admin() {
            return Ok(());
        }
        let held = &caller.service.permissions;
        match held.first_missing(&Permissions::everything()) {
            Some(missing) => Err(self
                .authenticator
                .refusals
                .deny(caller.id(), missing.clone())),
            None => Err(GatewayError::ServiceBuiltIn),
        }
    }
}

fn service_limit(limit: SessionLimit) -> Result<SessionLimit, GatewayError> {
    limit_within(0, "session_limit/max", limit)
}
