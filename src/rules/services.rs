//! Registered services, and the secrets they have.

use std::time::Duration;

use super::refusal::Refusal;
use crate::model::Timestamp;
use crate::model::event::{Change, Fact, ServiceChange};
use crate::model::id::ServiceId;
use crate::model::limit::SessionLimit;
use crate::model::permission::Permissions;
use crate::model::quota::Quotas;
use crate::model::request::OperationId;
use crate::model::service::{
    Manager, PreviousSecret, Service, ServiceName, ServiceRecord, ServiceUpdate,
};
use crate::model::token::CredentialHash;

/// The least time between two moments.
const MOMENT: Duration = Duration::from_millis(1);

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
    /// How much it may take of what all services share.
    pub quotas: Quotas,
    /// SHA-256 of its secret.
    pub secret: CredentialHash,
    /// Set when the registration may be a repetition.
    pub operation_id: Option<OperationId>,
}

/// What is to become of the service with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceRequest {
    /// It is registered, if its id is free. One with an operation id may be a repetition: if the service there has the same
    /// secret, it is answered as it is.
    Register(NewService),
    /// It is changed.
    Update(ServiceUpdate),
    /// It gets a new secret; the one before it stays good for `grace`, any older one does not. A repetition with the same
    /// secret changes nothing.
    RotateSecret {
        /// SHA-256 of the new one.
        secret: CredentialHash,
        /// How long the one before it stays good.
        grace: Duration,
    },
    /// It goes.
    Remove,
}

/// What is written, and what is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    /// What happens to the record, if anything does. It is told in one event.
    pub write: Option<ServiceWrite>,
    /// The service as it is then, or as it was before it went.
    pub service: Service,
}

/// A write of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceWrite {
    /// What is told of it.
    pub change: ServiceChange,
    /// What is to stand in the place of the record that is held; nothing if that goes.
    pub record: Option<ServiceRecord>,
}

impl ServiceRequest {
    /// What comes of the request, given the record that is held under the id, and the last moment at which any service was
    /// removed: no two registrations of an id have one moment, by which its sessions are told apart.
    pub fn decide(
        &self,
        held: Option<ServiceRecord>,
        removed_at: Option<Timestamp>,
        by: &Manager,
        now: Timestamp,
    ) -> Result<ServicePlan, Refusal> {
        self.check_rights(held.as_ref(), &by.permissions)?;
        match self {
            Self::Register(new) => match held {
                Some(record) if new.operation_id.is_some() && record.secret == new.secret => {
                    Ok(ServicePlan::nothing(record))
                }
                Some(_) => Err(Refusal::ServiceExists),
                None => {
                    let after = removed_at.map(|removed_at| removed_at.plus(MOMENT));
                    let at = after.map_or(now, |after| now.max(after));
                    let record = registered(new, at);
                    Ok(ServicePlan::put(ServiceChange::Registered, record))
                }
            },
            Self::Update(update) => {
                let mut record = held.ok_or(Refusal::ServiceUnknown)?;
                update.clone().apply(&mut record.service, now);
                Ok(ServicePlan::put(ServiceChange::Updated, record))
            }
            Self::RotateSecret { secret, grace } => {
                let record = held.ok_or(Refusal::ServiceUnknown)?;
                if record.secret == *secret {
                    return Ok(ServicePlan::nothing(record));
                }
                let record = rotated(record, *secret, *grace, now);
                Ok(ServicePlan::put(ServiceChange::SecretRotated, record))
            }
            Self::Remove => Ok(ServicePlan {
                service: held.ok_or(Refusal::ServiceUnknown)?.service,
                write: Some(ServiceWrite {
                    change: ServiceChange::Removed,
                    record: None,
                }),
            }),
        }
    }
}

impl ServiceRequest {
    /// Nobody may give what it does not hold, nor change, rotate or remove a service that holds something which it does
    /// not hold: it could make itself more than it is.
    fn check_rights(
        &self,
        held: Option<&ServiceRecord>,
        rights: &Permissions,
    ) -> Result<(), Refusal> {
        let (given, touched) = match self {
            Self::Register(new) => (Some(&new.permissions), None),
            Self::Update(update) => (update.permissions.as_ref(), held),
            Self::RotateSecret { .. } | Self::Remove => (None, held),
        };
        let touched = touched.map(|record| &record.service.permissions);
        let mut needed = given.into_iter().chain(touched);
        match needed.find_map(|needed| rights.first_missing(needed)) {
            Some(missing) => Err(Refusal::NotHeld(missing.clone())),
            None => Ok(()),
        }
    }
}

impl ServicePlan {
    /// The moment after which its id may be registered again, if the service goes: its own registration may have been
    /// stamped by a clock that is ahead.
    #[must_use]
    pub fn removed_at(&self, now: Timestamp) -> Option<Timestamp> {
        let write = self.write.as_ref()?;
        write
            .record
            .is_none()
            .then(|| now.max(self.service.created_at))
    }

    /// The moment of its registration, if the service comes.
    #[must_use]
    pub fn registered_at(&self) -> Option<Timestamp> {
        let write = self.write.as_ref()?;
        (write.change == ServiceChange::Registered).then_some(self.service.created_at)
    }

    fn nothing(record: ServiceRecord) -> Self {
        Self {
            write: None,
            service: record.service,
        }
    }

    fn put(change: ServiceChange, record: ServiceRecord) -> Self {
        Self {
            service: record.service.clone(),
            write: Some(ServiceWrite {
                change,
                record: Some(record),
            }),
        }
    }
}

impl ServiceWrite {
    /// The event that is appended with the write.
    #[must_use]
    pub fn fact(&self, service_id: &ServiceId, by: &ServiceId, now: Timestamp) -> Fact {
        Fact {
            at: now,
            session_id: None,
            login_id: None,
            service_id: service_id.clone(),
            change: Change::ServiceChanged {
                change: self.change,
                by: by.clone(),
            },
        }
    }
}

fn registered(new: &NewService, now: Timestamp) -> ServiceRecord {
    ServiceRecord {
        service: Service {
            service_id: new.service_id.clone(),
            service_name: new.service_name.clone(),
            permissions: new.permissions.clone(),
            enabled: true,
            created_at: now,
            updated_at: now,
            session_limit: new.session_limit,
            quotas: new.quotas.clone(),
        },
        secret: new.secret,
        previous_secret: None,
    }
}

fn rotated(
    record: ServiceRecord,
    secret: CredentialHash,
    grace: Duration,
    now: Timestamp,
) -> ServiceRecord {
    ServiceRecord {
        service: Service {
            updated_at: now,
            ..record.service
        },
        secret,
        previous_secret: Some(PreviousSecret {
            hash: record.secret,
            until: now.plus(grace),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_769_846_400_000);
    const GRACE: Duration = Duration::from_secs(60);

    fn new(secret: &[u8], operation_id: Option<OperationId>) -> NewService {
        NewService {
            service_id: ServiceId::parse("shop").unwrap(),
            service_name: ServiceName::parse("Shop").unwrap(),
            permissions: Permissions::default(),
            session_limit: None,
            quotas: Quotas::default(),
            secret: CredentialHash::of(secret),
            operation_id,
        }
    }

    fn written(plan: ServicePlan) -> (ServiceChange, Option<ServiceRecord>) {
        let write = plan.write.unwrap();
        (write.change, write.record)
    }

    fn shop() -> ServiceRecord {
        let request = ServiceRequest::Register(new(b"first", None));
        let (change, record) = written(
            request
                .decide(None, None, &Manager::admin(), START)
                .unwrap(),
        );
        assert_eq!(change, ServiceChange::Registered);
        record.unwrap()
    }

    #[test]
    fn a_repeated_registration_is_answered_only_to_who_has_the_secret_and_an_operation_id() {
        let decide = |secret, operation_id| {
            let request = ServiceRequest::Register(new(secret, operation_id));
            request.decide(Some(shop()), None, &Manager::admin(), START)
        };
        let operation_id = Some(OperationId([1; 32]));
        let again = ServicePlan {
            write: None,
            service: shop().service,
        };
        assert_eq!(decide(b"first", operation_id), Ok(again));
        assert_eq!(decide(b"first", None), Err(Refusal::ServiceExists));
        assert_eq!(decide(b"other", operation_id), Err(Refusal::ServiceExists));
    }

    #[test]
    fn of_old_secrets_only_the_last_one_has_a_grace() {
        let rotate = |held, secret, now| {
            let secret = CredentialHash::of(secret);
            let request = ServiceRequest::RotateSecret {
                secret,
                grace: GRACE,
            };
            request
                .decide(Some(held), None, &Manager::admin(), now)
                .unwrap()
        };
        let (change, second) = written(rotate(shop(), b"second", START));
        assert_eq!(change, ServiceChange::SecretRotated);
        let again = rotate(second.clone().unwrap(), b"second", START.plus(GRACE));
        assert_eq!(again.write, None);
        let (_, third) = written(rotate(second.unwrap(), b"third", START.plus(GRACE)));
        let previous = PreviousSecret {
            hash: CredentialHash::of(b"second"),
            until: START.plus(2 * GRACE),
        };
        assert_eq!(third.unwrap().previous_secret, Some(previous));
    }

    #[test]
    fn who_manages_services_cannot_rise() {
        let grants = |texts: &[&str]| -> Permissions {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let manager = Manager {
            service_id: ServiceId::parse("manager").unwrap(),
            permissions: grants(&["service.manage", "session.read"]),
        };
        let with = |texts| {
            let mut record = shop();
            record.service.permissions = grants(texts);
            record
        };
        let update = |permissions| {
            ServiceRequest::Update(ServiceUpdate {
                permissions,
                ..ServiceUpdate::default()
            })
        };
        let rotate = ServiceRequest::RotateSecret {
            secret: CredentialHash::of(b"second"),
            grace: GRACE,
        };
        let not_held = |text: &str| Some(Refusal::NotHeld(text.parse().unwrap()));
        let give = |texts| {
            ServiceRequest::Register(NewService {
                permissions: grants(texts),
                ..new(b"first", None)
            })
        };
        let (less, more) = (&["session.read:own"][..], &["session.*"][..]);
        for (request, held, refused) in [
            (give(less), None, None),
            (give(more), None, not_held("session.*")),
            (update(None), Some(with(less)), None),
            (update(Some(grants(less))), Some(with(less)), None),
            (
                update(Some(grants(more))),
                Some(with(less)),
                not_held("session.*"),
            ),
            (
                update(Some(grants(less))),
                Some(with(more)),
                not_held("session.*"),
            ),
            (update(None), Some(with(more)), not_held("session.*")),
            (rotate.clone(), Some(with(less)), None),
            (rotate, Some(with(more)), not_held("session.*")),
            (ServiceRequest::Remove, Some(with(less)), None),
            (
                ServiceRequest::Remove,
                Some(with(more)),
                not_held("session.*"),
            ),
        ] {
            let found = request.decide(held, None, &manager, START).err();
            assert_eq!(found, refused, "{request:?}");
        }
    }

    #[test]
    fn nothing_is_written_to_a_service_that_is_not_there() {
        for request in [
            ServiceRequest::Update(ServiceUpdate::default()),
            ServiceRequest::RotateSecret {
                secret: CredentialHash::of(b"second"),
                grace: GRACE,
            },
            ServiceRequest::Remove,
        ] {
            let refused = request.decide(None, None, &Manager::admin(), START);
            assert_eq!(refused, Err(Refusal::ServiceUnknown), "{request:?}");
        }
    }
}
