//! What an event tells of that must not be taken back.

use super::{BanState, RecoveryEntry, RecoveryLog, ServiceState};
use crate::model::Timestamp;
use crate::model::event::{Change, Fact, ServiceChange};
use crate::model::id::ServiceId;
use crate::model::session::Ended;

/// A service was written; what was written must be read.
#[derive(Debug, Clone)]
pub(in crate::store) struct WrittenService {
    pub(in crate::store) service_id: ServiceId,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) by: ServiceId,
}

impl RecoveryLog {
    /// Learns from an event what must not be taken back.
    pub(in crate::store) fn learn(&self, fact: &Fact) -> Option<WrittenService> {
        match (&fact.change, fact.session_id) {
            (Change::SessionEnded { reason, by, detail }, Some(session_id)) => {
                let ended = Ended {
                    reason: *reason,
                    at: fact.at,
                    by: by.clone(),
                    detail: detail.clone(),
                };
                self.keep(RecoveryEntry::Ended(session_id, ended));
                None
            }
            (Change::ServiceChanged { change, by }, _) => self.learn_of_service(fact, *change, by),
            (Change::LoginBanned { .. } | Change::LoginUnbanned { .. }, _) => {
                if let Some(left) = BanState::of(fact) {
                    self.keep(RecoveryEntry::Ban(left));
                }
                None
            }
            (
                Change::SessionCreated { .. }
                | Change::SessionChanged { .. }
                | Change::SessionRotated { .. }
                | Change::SessionEnded { .. },
                _,
            ) => None,
        }
    }

    fn learn_of_service(
        &self,
        fact: &Fact,
        change: ServiceChange,
        by: &ServiceId,
    ) -> Option<WrittenService> {
        let service_id = fact.service_id.clone();
        let (at, by) = (fact.at, by.clone());
        match change {
            ServiceChange::Removed => {
                let left = ServiceState {
                    record: None,
                    at,
                    by,
                };
                self.keep(RecoveryEntry::Service(service_id, left));
                None
            }
            ServiceChange::Registered | ServiceChange::Updated | ServiceChange::SecretRotated => {
                Some(WrittenService { service_id, at, by })
            }
        }
    }
}
