//! Reads of one session, by id or by token, and the uses that verifications count.

use redb::ReadTransaction;

use super::Shared;
use super::record::{Kept, StoredSession};
use super::rows::{ended, load, tombstone};
use super::tables::{SESSIONS, TOKENS, TOMBSTONES};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::session::{Ended, Session};
use crate::model::token::{CredentialHash, PresentedToken};
use crate::store::touches::{SessionUse, TouchPlan};
use crate::store::{Lookup, StoreError, Touch, Verified};

/// What a read found, and whether that is the answer already.
pub(super) enum Found {
    Answer(Lookup<Verified>),
    /// This session lives, and its use must be written before anybody is told.
    TouchFirst(SessionId),
}

/// A live session with every use of it counted.
pub(super) struct Seen {
    pub(super) stored: StoredSession,
    /// When the record expires as it is stored.
    stored_until: Timestamp,
}

impl Seen {
    pub(super) fn new(shared: &Shared, mut stored: StoredSession) -> Self {
        let stored_until = stored.record.session.expires_at;
        shared.touches.overlay(&mut stored.record);
        Self {
            stored,
            stored_until,
        }
    }

    fn verified(self, shared: &Shared, now: Timestamp) -> Lookup<Verified> {
        Lookup::Live(Box::new(shared.verified(
            self.stored.record,
            self.stored_until,
            now,
        )))
    }
}

impl Shared {
    fn verified(&self, record: SessionRecord, stored_until: Timestamp, now: Timestamp) -> Verified {
        Verified {
            state: record.shown_state(now, self.settings.idle_after),
            record,
            stored_until,
        }
    }

    /// Notes a use that may be written later; `false` if it must be written now.
    fn note(&self, record: &SessionRecord, stored_until: Timestamp, now: Timestamp) -> bool {
        match self.touches.plan(record, stored_until, now) {
            TouchPlan::Now => false,
            TouchPlan::Within(interval) => {
                self.touches.note(record.session.session_id, now, interval)
            }
        }
    }
}

pub(super) fn find_again(shared: &Shared, found: &Verified, touch: Touch) -> Option<Verified> {
    let now = shared.now();
    let stored_until = shared
        .touches
        .stored_until(&found.record, found.stored_until);
    let mut record = found.record.clone();
    shared.touches.overlay(&mut record);
    let lives = record.expired(now).is_none();
    let counted = match touch {
        Touch::No => true,
        Touch::Yes => !shared.writes_stopped() && lives && shared.note(&record, stored_until, now),
    };
    if touch == Touch::Yes {
        shared.touches.overlay(&mut record);
    }
    (lives && counted).then(|| shared.verified(record, stored_until, now))
}

pub(super) fn find(
    shared: &Shared,
    session_id: SessionId,
    scope: &Scope,
) -> Result<Lookup<Session>, StoreError> {
    let now = shared.now();
    Ok(match look_up(shared, &shared.read()?, session_id, now)? {
        Lookup::Live(seen) if scope.covers(&seen.stored.record.session.service_id) => {
            Lookup::Live(Box::new(shared.shown(seen.stored, now)))
        }
        Lookup::Ended(tombstone) if scope.covers(&tombstone.service_id) => Lookup::Ended(tombstone),
        Lookup::Live(_) | Lookup::Ended(_) | Lookup::Unknown => Lookup::Unknown,
    })
}

pub(super) fn find_by_token(
    shared: &Shared,
    token: &PresentedToken,
    touch: Touch,
) -> Result<Found, StoreError> {
    let now = shared.now();
    let read = shared.read()?;
    let session_id = match token.session_id {
        Some(session_id) => Some(session_id),
        None => holder(&read, &token.hash)?,
    };
    let found = match session_id {
        Some(session_id) => look_up(shared, &read, session_id, now)?,
        None => Lookup::Unknown,
    };
    match found {
        Lookup::Live(seen) if seen.stored.record.token.hash == token.hash => match touch {
            Touch::No => Ok(Found::Answer(seen.verified(shared, now))),
            Touch::Yes => touched(shared, *seen, now),
        },
        Lookup::Ended(tombstone) if tombstone.token.hash == token.hash => {
            Ok(Found::Answer(Lookup::Ended(tombstone)))
        }
        Lookup::Live(_) | Lookup::Ended(_) | Lookup::Unknown => Ok(Found::Answer(Lookup::Unknown)),
    }
}

fn touched(shared: &Shared, seen: Seen, now: Timestamp) -> Result<Found, StoreError> {
    // Counting a use that can never be written would promise a life that a restart takes away.
    if shared.writes_stopped() {
        return Err(StoreError::WritesStopped);
    }
    let record = &seen.stored.record;
    if !shared.note(record, seen.stored_until, now) {
        return Ok(Found::TouchFirst(record.session.session_id));
    }
    let mut seen = seen;
    shared.touches.overlay(&mut seen.stored.record);
    Ok(Found::Answer(seen.verified(shared, now)))
}

/// A session as it is at `now`, whether or not anything that writes has met it.
fn look_up(
    shared: &Shared,
    read: &ReadTransaction,
    session_id: SessionId,
    now: Timestamp,
) -> Result<Lookup<Seen>, StoreError> {
    let Some(stored) = load(&read.open_table(SESSIONS)?, session_id)? else {
        let kept = tombstone(&read.open_table(TOMBSTONES)?, session_id)?;
        return Ok(ended(kept, now));
    };
    let seen = Seen::new(shared, stored);
    Ok(match seen.stored.record.expired(now) {
        None => Lookup::Live(Box::new(seen)),
        Some((reason, at)) => {
            let kept = Kept {
                until: at.plus(shared.settings.tombstone_retention),
                value: seen.stored.record.end(Ended::by_age(reason, at)),
            };
            ended(Some(kept), now)
        }
    })
}

/// Counts a use in the record itself.
pub(super) fn touch_first(
    txn: &mut Txn<'_>,
    session_id: SessionId,
    hash: CredentialHash,
) -> Result<Lookup<Verified>, StoreError> {
    Ok(match txn.meet(session_id)? {
        Lookup::Live(mut stored) if stored.record.token.hash == hash => {
            stored.record.touch(txn.now);
            txn.save((*stored).clone())?;
            Seen::new(txn.shared, *stored).verified(txn.shared, txn.now)
        }
        Lookup::Ended(tombstone) if tombstone.token.hash == hash => Lookup::Ended(tombstone),
        Lookup::Live(_) | Lookup::Ended(_) | Lookup::Unknown => Lookup::Unknown,
    })
}

/// Writes a use that was noted before. It revives nothing: a session that is gone stays gone, and one that was not
/// used in time stays over.
pub(super) fn write_touch(txn: &mut Txn<'_>, touch: SessionUse) -> Result<(), StoreError> {
    let Some(mut stored) = load(&txn.sessions, touch.session_id)? else {
        return Ok(());
    };
    if touch.apply(&mut stored.record) {
        txn.save(stored)?;
    }
    Ok(())
}

fn holder(read: &ReadTransaction, hash: &CredentialHash) -> Result<Option<SessionId>, StoreError> {
    let tokens = read.open_table(TOKENS)?;
    let holder = tokens.get(hash.as_bytes())?;
    Ok(holder.map(|id| SessionId::from_bytes(*id.value())))
}
