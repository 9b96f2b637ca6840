//! Rows as they are stored, for reads and for the writer alike.

use std::ops::Bound::{Excluded, Included};

use redb::{AccessGuard, ReadableTable};

use super::record::{Damage, Stored, corrupt, decode};
use super::stored::StoredSession;
use super::tables::{Bytes, FIRST_ID, Id, LAST_ID, LoginKey, login_key};
use crate::model::id::{LoginId, SessionId};
use crate::model::session::Tombstone;
use crate::rules::Kept;
use crate::rules::entry::SessionEntry;
use crate::store::StoreError;

/// A session as it is stored; an error if what stands under its id is another one.
pub(super) fn load(
    sessions: &impl ReadableTable<&'static Id, Bytes>,
    session_id: SessionId,
) -> Result<Option<StoredSession>, StoreError> {
    let stored: Option<StoredSession> = row(sessions.get(session_id.as_bytes())?)?;
    match stored {
        Some(stored) if stored.record.session.session_id != session_id => {
            Err(corrupt::<StoredSession>(Damage::Key))
        }
        Some(_) | None => Ok(stored),
    }
}

/// What stands under the id of a session of which there is no record.
pub(super) fn tombstone(
    tombstones: &impl ReadableTable<&'static Id, Bytes>,
    session_id: SessionId,
) -> Result<SessionEntry, StoreError> {
    let kept: Option<Kept<Tombstone>> = row(tombstones.get(session_id.as_bytes())?)?;
    match kept {
        Some(kept) if kept.value.session_id != session_id => {
            Err(corrupt::<Kept<Tombstone>>(Damage::Key))
        }
        Some(kept) => Ok(SessionEntry::Tombstone(Box::new(kept))),
        None => Ok(SessionEntry::Missing),
    }
}

/// The stored sessions under a login's key after one, at most so many, in the order of their ids.
pub(super) fn session_ids(
    logins: &impl ReadableTable<LoginKey, ()>,
    login_id: &LoginId,
    after: Option<SessionId>,
    most: usize,
) -> Result<Vec<SessionId>, StoreError> {
    let login = login_key(login_id);
    let from = match &after {
        Some(after) => Excluded((&login, after.as_bytes())),
        None => Included((&login, &FIRST_ID)),
    };
    let range = logins.range::<(&Id, &Id)>((from, Included((&login, &LAST_ID))))?;
    let mut ids = Vec::new();
    for entry in range.take(most) {
        let key = entry?.0;
        let (_, id) = key.value();
        ids.push(SessionId::from_bytes(*id));
    }
    Ok(ids)
}

/// The record in a row, if there is one.
pub(super) fn row<T: Stored>(
    bytes: Option<AccessGuard<'_, Bytes>>,
) -> Result<Option<T>, StoreError> {
    bytes.map(|bytes| decode(bytes.value())).transpose()
}
