//! Reads of one session, by id or by token, and the uses that verifications count.

use std::sync::Arc;

use redb::ReadTransaction;

use super::Shared;
use super::rows::{ended, load, tombstone};
use super::stored::{Kept, StoredSession};
use super::tables::{SESSIONS, TOKENS, TOMBSTONES};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::session::Life;
use crate::model::session::{Ended, Session};
use crate::model::token::{CredentialHash, PresentedToken};
use crate::store::node::activity::SessionUse;
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
        let record = self.stored.record;
        let life = record.life();
        let found = shared.verified(Arc::new(record), life, self.stored_until, now);
        Lookup::Live(Box::new(found))
    }
}

impl Shared {
    fn verified(
        &self,
        record: Arc<SessionRecord>,
        life: Life,
        stored_until: Timestamp,
        now: Timestamp,
    ) -> Verified {
        Verified {
            state: record.shown_state(life, now, self.settings.idle_after),
            record,
            life,
            stored_until,
        }
    }
}

pub(super) fn find_again(shared: &Shared, found: &Verified, touch: Touch) -> Option<Verified> {
    let now = shared.now();
    if touch == Touch::Yes && shared.writes_stopped() {
        return None;
    }
    let lives = |life: Life| now < life.expires_at;
    let (life, stored_until) = shared.touches.again(found, touch, now, lives)?;
    Some(shared.verified(Arc::clone(&found.record), life, stored_until, now))
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
    let found = match session_of(&read, token)? {
        Some(session_id) => look_up(shared, &read, session_id, now)?,
        None => Lookup::Unknown,
    };
    match found {
        Lookup::Live(seen) if seen.stored.record.standing(&token.hash, now).is_good() => {
            match touch {
                Touch::No => Ok(Found::Answer(seen.verified(shared, now))),
                Touch::Yes => touched(shared, *seen, now),
            }
        }
        Lookup::Ended(tombstone) if tombstone.standing(&token.hash, now).is_good() => {
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
    let (record, stored_until) = (seen.stored.record, seen.stored_until);
    let counted = shared
        .touches
        .count(&record, record.life(), stored_until, now);
    let Some(life) = counted else {
        return Ok(Found::TouchFirst(record.session.session_id));
    };
    let found = shared.verified(Arc::new(record), life, stored_until, now);
    Ok(Found::Answer(Lookup::Live(Box::new(found))))
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
        Lookup::Live(mut stored) if stored.record.standing(&hash, txn.now).is_good() => {
            stored.record.touch(txn.now);
            txn.save((*stored).clone())?;
            Seen::new(txn.shared, *stored).verified(txn.shared, txn.now)
        }
        Lookup::Ended(tombstone) if tombstone.standing(&hash, txn.now).is_good() => {
            Lookup::Ended(tombstone)
        }
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

/// The session that a token is to be looked for in.
pub(super) fn session_of(
    read: &ReadTransaction,
    token: &PresentedToken,
) -> Result<Option<SessionId>, StoreError> {
    if token.session_id.is_some() {
        return Ok(token.session_id);
    }
    let tokens = read.open_table(TOKENS)?;
    let holder = tokens.get(token.hash.as_bytes())?;
    Ok(holder.map(|id| SessionId::from_bytes(*id.value())))
}
