//! Endings that somebody asks for: of one session, of the one behind a token, of all that are meant.

use super::change::Changed;
use super::entry::{Ending, Lookup, SessionEntry};
use super::plan::Decision;
use super::refusal::Refusal;
use super::target::TargetFacts;
use super::terms::Terms;
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, SessionId};
use crate::model::record::SessionRecord;
use crate::model::request::{Access, Target};
use crate::model::session::{
    Device, EndDetail, EndReason, Ended, Session, SessionState, Tombstone,
};
use crate::model::token::CredentialHash;

/// The session is over: by this call, or before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndOutcome {
    /// This call ended it; the session as it was last, `closed`.
    Now(Box<Session>),
    /// It had ended already.
    Before(Box<Tombstone>),
}

/// Which sessions of a login are to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndAll {
    /// The login.
    pub login_id: LoginId,
    /// A session that stays.
    pub except: Option<SessionId>,
    /// Only those on this kind of device.
    pub device: Option<Device>,
    /// Why they end.
    pub reason: EndReason,
    /// What is said about it beyond that.
    pub detail: Option<EndDetail>,
}

/// Sessions that end together, of one login or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndBatch {
    /// Those that match.
    pub filter: SessionFilter,
    /// A session that stays.
    pub except: Option<SessionId>,
    /// Why they end.
    pub reason: EndReason,
    /// What is said about it beyond that.
    pub detail: Option<EndDetail>,
    /// Who ends them, and how far they see.
    pub access: Access,
}

impl EndAll {
    /// The batch that this is, for a service.
    #[must_use]
    pub fn batch(self, access: Access) -> EndBatch {
        EndBatch {
            filter: SessionFilter {
                device: self.device,
                ..SessionFilter::of_login(self.login_id)
            },
            except: self.except,
            reason: self.reason,
            detail: self.detail,
            access,
        }
    }
}

impl EndBatch {
    /// Whether a session that lives is one of those that end.
    #[must_use]
    pub fn means(&self, record: &SessionRecord, terms: &Terms) -> bool {
        let state = record.shown_state(record.life(), terms.now, terms.idle_after);
        self.filter.matches(&record.session, state)
            && record.is_within(&self.access.scope)
            && self.except != Some(record.session.session_id)
    }

    /// How each of them ends at a moment.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Ended {
        let by = self.access.service_id.clone();
        Ended {
            detail: self.detail.clone(),
            ..Ended::by_service(self.reason, now, by)
        }
    }
}

/// Ends one session; with a token only if that is a good one of it. One that has ended already is told so, whatever
/// version was expected.
#[must_use]
pub fn end(
    facts: TargetFacts,
    target: &Target,
    reason: EndReason,
    token: Option<&CredentialHash>,
    terms: &Terms,
) -> Decision<Result<Changed, Refusal>> {
    Decision::make(|plan| {
        let record = plan.reach(facts.session, target, terms)?;
        if token.is_some_and(|hash| !record.token_status(hash, terms.now).is_good()) {
            return Err(Refusal::TokenUnknown);
        }
        let ended = Ended::by_service(reason, terms.now, target.access.service_id.clone());
        plan.end(Ending::of(&record, ended, terms));
        Ok(Changed {
            session: closed(record.session),
            inserted: false,
        })
    })
}

/// A session that ends, as it was last.
#[must_use]
pub fn closed(session: Session) -> Session {
    Session {
        state: SessionState::Closed,
        version: session.version + 1,
        ..session
    }
}

/// Ends those of the sessions that are in sight and match at this moment; tells which.
#[must_use]
pub fn end_batch(
    sessions: Vec<SessionEntry>,
    batch: &EndBatch,
    terms: &Terms,
) -> Decision<Vec<SessionId>> {
    Decision::make(|plan| {
        let mut ids = Vec::new();
        for entry in sessions {
            if let Lookup::Live(record) = plan.settle(entry, terms).settled(terms.now)
                && batch.means(&record, terms)
            {
                plan.end(Ending::of(&record, batch.ended(terms.now), terms));
                ids.push(record.session.session_id);
            }
        }
        ids
    })
}
