//! What is known of a login, and what a plan makes of it.

use std::collections::BTreeMap;

use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::login::Ban;
use crate::model::request::OperationId;
use crate::rules::Kept;
use crate::rules::entry::SessionEntry;
use crate::rules::operation::{FirstRun, OperationRecord};
use crate::rules::plan::{Plan, Write};

/// All that is known of a login.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub(super) sessions: BTreeMap<SessionId, SessionEntry>,
    pub(super) operations: BTreeMap<[u8; 32], Kept<OperationRecord>>,
    pub(super) ban: Option<Ban>,
}

impl Facts {
    pub(super) fn live(&self) -> Vec<SessionId> {
        let live = self.sessions.iter();
        let live = live.filter(|(_, entry)| matches!(entry, SessionEntry::Record(_)));
        live.map(|(id, _)| *id).collect()
    }

    pub(super) fn entry(&self, id: SessionId) -> SessionEntry {
        self.sessions
            .get(&id)
            .cloned()
            .unwrap_or(SessionEntry::Missing)
    }

    pub(super) fn first_run(&self, operation_id: Option<OperationId>) -> Option<FirstRun> {
        let operation = self.operations.get(&operation_id?.0)?.clone();
        let session = self.entry(operation.value.session_id());
        Some(FirstRun { operation, session })
    }

    pub(super) fn after(mut self, plan: &Plan, now: Timestamp) -> Self {
        for write in &plan.writes {
            match write {
                Write::Open(record) | Write::Save(record) | Write::Reschedule(record) => {
                    let entry = SessionEntry::Record(record.clone());
                    self.sessions.insert(record.session.session_id, entry);
                }
                Write::End(ending) => {
                    let kept = ending.tombstone.clone();
                    let id = kept.value.session_id;
                    self.sessions
                        .insert(id, SessionEntry::Tombstone(Box::new(kept)));
                }
                Write::Forget(kept) => {
                    let id = kept.value.session_id;
                    self.sessions.insert(id, SessionEntry::Missing);
                }
                Write::KeepOperation(operation_id, kept) => {
                    self.operations.insert(operation_id.0, kept.clone());
                }
                Write::PutBan(ban) => self.ban = Some(ban.clone()),
                Write::DropBan(_) => self.ban = None,
            }
        }
        self.without_what_is_over(now)
    }

    pub(super) fn without_what_is_over(mut self, now: Timestamp) -> Self {
        for entry in self.sessions.values_mut() {
            if matches!(entry, SessionEntry::Tombstone(kept) if kept.is_over(now)) {
                *entry = SessionEntry::Missing;
            }
        }
        self.operations.retain(|_, kept| !kept.is_over(now));
        self.ban = self.ban.filter(|ban| ban.holds(now));
        self
    }
}
