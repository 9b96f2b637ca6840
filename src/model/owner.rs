//! Whose sessions are whose.

use super::Timestamp;
use super::id::ServiceId;
use super::record::SessionRecord;
use super::session::Tombstone;

/// One registration of a service: sessions of the same one are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The id of the service.
    pub service_id: ServiceId,
    /// When it was registered, if its sessions tell that.
    pub registration: Option<Timestamp>,
}

impl Owner {
    /// As a text: what is before its first space is the registration.
    #[must_use]
    pub fn key(&self) -> String {
        let registration = self.registration.map(|at| at.millis().to_string());
        format!("{} {}", registration.unwrap_or_default(), self.service_id)
    }

    /// The owner with this key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let (registration, service_id) = key.split_once(' ')?;
        Some(Self {
            service_id: ServiceId::parse(service_id).ok()?,
            registration: registration.parse().ok().map(Timestamp::from_millis),
        })
    }
}

impl SessionRecord {
    /// Who opened it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            service_id: self.session.service_id.clone(),
            registration: self.registration,
        }
    }
}

impl Tombstone {
    /// Who had opened the session.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            service_id: self.service_id.clone(),
            registration: self.registration,
        }
    }
}
