//! Reads of one session, by id or by token, and the uses that verifications count.

use std::sync::Arc;

use redb::ReadTransaction;

use super::Shared;
use super::rows::{load, tombstone};
use super::stored::StoredSession;
use super::tables::{SESSIONS, TOKENS, TOMBSTONES};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::request::Touch;
use crate::model::session::{Life, Session};
use crate::model::token::{CredentialHash, PresentedToken};
use crate::rules::entry::{Lookup, SessionEntry};
use crate::rules::{activity, verify};
use crate::store::node::activity::SessionActivity;
use crate::store::{StoreError, Verified};

/// What a read found, and whether that is the answer already.
pub(super) enum Found {
    Answer(Lookup<Verified>),
    /// This session lives, and its uses must be written before anybody is told.
    WriteFirst(SessionId),
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

    fn live(&self, record: SessionRecord, stored_until: Timestamp, now: Timestamp) -> Verified {
        let life = record.life();
        self.verified(Arc::new(record), life, stored_until, now)
    }
}

pub(super) fn revalidate(shared: &Shared, found: &Verified, touch: Touch) -> Option<Verified> {
    let now = shared.now();
    if touch == Touch::Yes && shared.writes_stopped() {
        return None;
    }
    let lives = |life: Life| now < life.expires_at;
    let (life, stored_until) = shared.activity.again(found, touch, now, lives)?;
    Some(shared.verified(Arc::clone(&found.record), life, stored_until, now))
}

pub(super) fn find(
    shared: &Shared,
    session_id: SessionId,
    scope: &Scope,
) -> Result<Lookup<Session>, StoreError> {
    let terms = shared.terms(shared.now());
    let (entry, _) = look_up(shared, &shared.read()?, session_id)?;
    Ok(verify::find(entry, scope, &terms))
}

pub(super) fn find_by_token(
    shared: &Shared,
    token: &PresentedToken,
    touch: Touch,
) -> Result<Found, StoreError> {
    let terms = shared.terms(shared.now());
    let read = shared.read()?;
    let Some(session_id) = session_of(&read, token)? else {
        return Ok(Found::Answer(Lookup::Unknown));
    };
    let (entry, stored_until) = look_up(shared, &read, session_id)?;
    match (verify::verify(entry, &token.hash, &terms), touch) {
        (Lookup::Live(record), _) if record.is_first_use(&token.hash, touch) => {
            Ok(Found::WriteFirst(session_id))
        }
        (Lookup::Live(record), Touch::Yes) => touched(shared, *record, stored_until, terms.now),
        (Lookup::Live(_), Touch::No | Touch::Look) if stored_until <= terms.now => {
            Ok(Found::WriteFirst(session_id))
        }
        (found, Touch::Yes | Touch::No | Touch::Look) => {
            Ok(Found::Answer(found.map(|record| {
                shared.live(record, stored_until, terms.now)
            })))
        }
    }
}

fn touched(
    shared: &Shared,
    record: SessionRecord,
    stored_until: Timestamp,
    now: Timestamp,
) -> Result<Found, StoreError> {
    // Counting a use that can never be written would promise a life that a restart takes away.
    if shared.writes_stopped() {
        return Err(StoreError::WritesStopped);
    }
    let counted = shared
        .activity
        .count(&record, record.life(), stored_until, now);
    let Some(life) = counted else {
        return Ok(Found::WriteFirst(record.session.session_id));
    };
    let found = shared.verified(Arc::new(record), life, stored_until, now);
    Ok(Found::Answer(Lookup::Live(Box::new(found))))
}

/// What stands under an id, with every use of it counted; and until when a record lets its session live as it is stored,
/// zero without one.
fn look_up(
    shared: &Shared,
    read: &ReadTransaction,
    session_id: SessionId,
) -> Result<(SessionEntry, Timestamp), StoreError> {
    let Some(StoredSession { mut record, .. }) = load(&read.open_table(SESSIONS)?, session_id)?
    else {
        let entry = tombstone(&read.open_table(TOMBSTONES)?, session_id)?;
        return Ok((entry, Timestamp::from_millis(0)));
    };
    let stored_until = record.session.expires_at;
    shared.overlay(&mut record);
    Ok((SessionEntry::Record(Box::new(record)), stored_until))
}

/// Counts uses in the record itself.
pub(super) fn write_first(
    txn: &mut Txn<'_>,
    session_id: SessionId,
    hash: CredentialHash,
    touch: Touch,
) -> Result<Lookup<Verified>, StoreError> {
    let entry = txn.entry(session_id)?;
    let found = txn.decide(verify::verify_and_write(entry, &hash, touch, &txn.terms()))?;
    Ok(found.map(|record| {
        let stored_until = record.session.expires_at;
        txn.shared.live(record, stored_until, txn.now)
    }))
}

/// Writes a use that was noted before. It revives nothing: a session that is gone stays gone, and one that was not
/// used in time stays over.
pub(super) fn write_touch(txn: &mut Txn<'_>, touch: SessionActivity) -> Result<(), StoreError> {
    let Some(record) = txn.record(touch.session_id)? else {
        return Ok(());
    };
    txn.carry_out(activity::write_use(record, touch.at))
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
