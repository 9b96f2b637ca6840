//! What a store is to write in one step, and what it answers then.

use super::entry::{Ending, SessionEntry};
use super::idempotency::RETENTION;
use super::kept::Kept;
use super::operation::OperationRecord;
use super::terms::Terms;
use crate::model::Timestamp;
use crate::model::event::{Change, Fact};
use crate::model::id::LoginId;
use crate::model::login::Ban;
use crate::model::record::SessionRecord;
use crate::model::request::OperationId;
use crate::model::session::{Session, Tombstone};

/// One write. Indexes follow from the records: which sessions a login has, when they expire, where a brought token leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A session that was not there.
    Open(Box<SessionRecord>),
    /// A session that was there, as it is now.
    Save(Box<SessionRecord>),
    /// The same; and it is to be found again where it expires, which is later than it was looked for.
    Reschedule(Box<SessionRecord>),
    /// A session becomes a tombstone.
    End(Box<Ending>),
    /// A tombstone goes, and with it that its tokens were in use.
    Forget(Box<Kept<Tombstone>>),
    /// What an operation did, for its repetitions.
    KeepOperation(OperationId, Kept<OperationRecord>),
    /// A ban, in place of any that the login has.
    PutBan(Ban),
    /// The ban of a login goes.
    DropBan(LoginId),
}

/// What is written in one step, in this order, and the events that are appended with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What is written.
    pub writes: Vec<Write>,
    /// What is told.
    pub events: Vec<Fact>,
}

/// What an operation comes to. One that is refused may have a plan too: sessions that it found over end all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<T> {
    /// What is written, whatever the outcome.
    pub plan: Plan,
    /// What is answered.
    pub outcome: T,
}

impl<T> Decision<T> {
    pub(super) fn make(work: impl FnOnce(&mut Plan) -> T) -> Self {
        let mut plan = Plan::default();
        let outcome = work(&mut plan);
        Self { plan, outcome }
    }
}

impl Plan {
    pub(super) fn tell(&mut self, session: &Session, at: Timestamp, change: Change) {
        self.events.push(Fact {
            at,
            session_id: Some(session.session_id),
            login_id: Some(session.login_id.clone()),
            service_id: session.service_id.clone(),
            change,
        });
    }

    /// The one place where sessions end, each with its one event.
    pub(super) fn end(&mut self, ending: Ending) {
        let Tombstone {
            session_id,
            login_id,
            service_id,
            ended,
            ..
        } = &ending.tombstone.value;
        self.events.push(Fact {
            at: ended.at,
            session_id: Some(*session_id),
            login_id: Some(login_id.clone()),
            service_id: service_id.clone(),
            change: Change::SessionEnded {
                reason: ended.reason,
                by: ended.by.clone(),
                detail: ended.detail.clone(),
            },
        });
        self.writes.push(Write::End(Box::new(ending)));
    }

    /// What stands there after age has had its way: a session that is over, and of which nobody wrote so yet, ends here.
    pub(super) fn settle(&mut self, entry: SessionEntry, terms: &Terms) -> SessionEntry {
        match entry.expiry(terms) {
            None => entry,
            Some(ending) => {
                let tombstone = Box::new(ending.tombstone.clone());
                self.end(ending);
                SessionEntry::Tombstone(tombstone)
            }
        }
    }

    /// Keeps what the operation with this operation id did.
    pub(super) fn keep(
        &mut self,
        operation_id: Option<OperationId>,
        operation: OperationRecord,
        terms: &Terms,
    ) {
        let kept = Kept {
            until: terms.now.plus(RETENTION),
            value: operation,
        };
        self.writes
            .extend(operation_id.map(|operation_id| Write::KeepOperation(operation_id, kept)));
    }
}
