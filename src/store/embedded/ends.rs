//! Endings that somebody asks for: of one session, of the one behind a token, of all of a login, of all that match.

use super::create::session_ids;
use super::stored::StoredSession;
use super::txn::Txn;
use crate::model::id::SessionId;
use crate::model::session::{EndReason, Ended, Session, SessionState};
use crate::model::token::PresentedToken;
use crate::store::{
    Access, EndAll, EndOutcome, Lookup, OpError, Refusal, SessionFilter, StoreError, Target,
};

/// Sessions that one step of `end_all` looks at.
const STEP: usize = 200;

pub(super) fn end(
    txn: &mut Txn<'_>,
    target: &Target,
    reason: EndReason,
) -> Result<EndOutcome, OpError> {
    let stored = match txn.meet_target(target) {
        Ok(stored) => stored,
        Err(OpError::Refused(Refusal::SessionEnded(tombstone))) => {
            return Ok(EndOutcome::Before(tombstone));
        }
        Err(error) => return Err(error),
    };
    let by = target.access.service_id.clone();
    txn.end(&stored, Ended::by_service(reason, txn.now, by))?;
    let session = stored.record.session;
    Ok(EndOutcome::Now(Box::new(Session {
        state: SessionState::Closed,
        version: session.version + 1,
        ..session
    })))
}

pub(super) fn revoke(
    txn: &mut Txn<'_>,
    token: &PresentedToken,
    access: &Access,
) -> Result<(), StoreError> {
    let session_id = match token.session_id {
        Some(session_id) => Some(session_id),
        None => txn.holder(&token.hash)?,
    };
    let Some(session_id) = session_id else {
        return Ok(());
    };
    if let Lookup::Live(stored) = txn.meet(session_id)?
        && stored.record.standing(&token.hash, txn.now).is_good()
        && access.scope.covers(&stored.record.session.service_id)
    {
        let by = access.service_id.clone();
        let ended = Ended::by_service(EndReason::Logout, txn.now, by);
        txn.end(&stored, ended)?;
    }
    Ok(())
}

/// Ends those of these sessions that still match; tells how many.
pub(super) fn end_matching(
    txn: &mut Txn<'_>,
    found: &[Session],
    filter: &SessionFilter,
    reason: EndReason,
    access: &Access,
) -> Result<usize, StoreError> {
    let mut count = 0;
    for session in found {
        let Lookup::Live(stored) = txn.meet(session.session_id)? else {
            continue;
        };
        let shown = txn.shared.shown(StoredSession::clone(&stored), txn.now);
        if filter.matches(&shown) && access.scope.covers(&shown.service_id) {
            let by = access.service_id.clone();
            txn.end(&stored, Ended::by_service(reason, txn.now, by))?;
            count += 1;
        }
    }
    Ok(count)
}

/// The endings of a login's sessions, step by step. The first step fixes which sessions there are; none of them
/// slips through, and none that is opened afterwards is met.
pub(super) struct Plan {
    which: EndAll,
    access: Access,
    left: Option<Vec<SessionId>>,
    ended: Vec<SessionId>,
}

impl Plan {
    pub(super) fn new(which: EndAll, access: Access) -> Self {
        Self {
            which,
            access,
            left: None,
            ended: Vec::new(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.as_ref().is_some_and(Vec::is_empty)
    }

    pub(super) fn into_ended(self) -> Vec<SessionId> {
        self.ended
    }

    pub(super) fn step(mut self, txn: &mut Txn<'_>) -> Result<Self, StoreError> {
        let mut left = match self.left.take() {
            Some(left) => left,
            None => session_ids(txn, &self.which.login_id)?,
        };
        let rest = left.split_off(left.len().min(STEP));
        for session_id in left {
            if let Lookup::Live(stored) = txn.meet(session_id)?
                && self.wants(&stored.record.session)
            {
                let by = self.access.service_id.clone();
                let ended = Ended {
                    detail: self.which.detail.clone(),
                    ..Ended::by_service(self.which.reason, txn.now, by)
                };
                txn.end(&stored, ended)?;
                self.ended.push(session_id);
            }
        }
        self.left = Some(rest);
        Ok(self)
    }

    fn wants(&self, session: &Session) -> bool {
        let which = &self.which;
        session.login_id == which.login_id
            && self.access.scope.covers(&session.service_id)
            && which.except != Some(session.session_id)
            && (which.device.is_none() || which.device == session.device)
    }
}
