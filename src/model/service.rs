//! Services: the callers of the gateway.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Timestamp;
use super::id::ServiceId;
use super::limit::SessionLimit;
use super::permission::{Opener, Permission, Permissions, Scope};
use super::quota::{QuotaChange, Quotas};
use super::record::Field;
use super::text::text_type;
use super::token::CredentialHash;

text_type! {
    /// What people call a service.
    ServiceName, printable, max = 256, example = "API gateway"
}

impl ServiceName {
    /// The name of the built-in service.
    #[must_use]
    pub fn admin() -> Self {
        Self("Built-in administrator".into())
    }
}

/// A registered service; its secret is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its id.
    pub service_id: ServiceId,
    /// What people call it.
    pub service_name: ServiceName,
    /// What it may do.
    pub permissions: Permissions,
    /// A disabled service is answered like an unknown one.
    pub enabled: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How many sessions a login may have when this service opens one, unless the request says so; 0 is any number. If it
    /// is null, the gateway's own default counts.
    #[schema(required = true)]
    pub session_limit: Option<SessionLimit>,
    /// How much it may take of what all services share, where that is not the gateway's own default.
    pub quotas: Quotas,
}

impl Service {
    /// How far a permission reaches for it; `None` if it does not have it.
    #[must_use]
    pub fn scope(&self, permission: Permission) -> Option<Scope> {
        self.permissions.scope(permission, || self.opener())
    }

    /// The service as one that opens sessions.
    #[must_use]
    pub fn opener(&self) -> Opener {
        Opener {
            service_id: self.service_id.clone(),
            registered_at: self.created_at,
        }
    }
}

/// Who manages services. It may not give what it does not hold, nor touch who holds more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Its id.
    pub service_id: ServiceId,
    /// What it holds.
    pub permissions: Permissions,
}

impl Manager {
    /// The built-in service.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            service_id: ServiceId::admin(),
            permissions: Permissions::everything(),
        }
    }
}

/// The part of [`Service`] that records of every format have; its limits, if it has any, are stored beside it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Service")]
struct ServiceWithoutLimits {
    service_id: ServiceId,
    service_name: ServiceName,
    permissions: Permissions,
    enabled: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip)]
    session_limit: Option<SessionLimit>,
    #[serde(skip)]
    quotas: Quotas,
}

/// What a store keeps of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// The service.
    #[serde(with = "ServiceWithoutLimits")]
    pub service: Service,
    /// SHA-256 of its secret.
    pub secret: CredentialHash,
    /// The secret before the last rotation, good until its grace is over.
    pub previous_secret: Option<PreviousSecret>,
}

/// A rotated secret in its grace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// SHA-256 of the secret.
    pub hash: CredentialHash,
    /// The first moment at which it is no longer good.
    pub until: Timestamp,
}

impl ServiceRecord {
    /// Whether this credential opens the door now.
    #[must_use]
    pub fn accepts(&self, presented: &CredentialHash, now: impl FnOnce() -> Timestamp) -> bool {
        let in_grace = |old: &PreviousSecret| old.hash == *presented && now() < old.until;
        let known =
            self.secret == *presented || self.previous_secret.as_ref().is_some_and(in_grace);
        known && self.service.enabled
    }
}

/// A change of a service; what is `None` or kept stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceUpdate {
    /// The new name.
    pub service_name: Option<ServiceName>,
    /// The new permissions, which replace the old ones.
    pub permissions: Option<Permissions>,
    /// On or off.
    pub enabled: Option<bool>,
    /// How many sessions a login may have.
    pub session_limit: Field<SessionLimit>,
    /// How much it may take; cleared, all is as the gateway has it.
    pub quotas: Field<QuotaChange>,
}

impl ServiceUpdate {
    /// Applies the change.
    pub fn apply(self, service: &mut Service, now: Timestamp) {
        if let Some(name) = self.service_name {
            service.service_name = name;
        }
        if let Some(permissions) = self.permissions {
            service.permissions = permissions;
        }
        if let Some(enabled) = self.enabled {
            service.enabled = enabled;
        }
        self.session_limit.apply(&mut service.session_limit);
        match self.quotas {
            Field::Keep => {}
            Field::Clear => service.quotas = Quotas::default(),
            Field::Set(change) => change.apply(&mut service.quotas),
        }
        service.updated_at = now;
    }
}
