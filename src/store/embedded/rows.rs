//! Rows as they are stored, for reads and for the writer alike.

use redb::{AccessGuard, ReadableTable};

use super::record::{Damage, Stored, corrupt, decode};
use super::stored::{Kept, StoredSession};
use super::tables::{Bytes, Id};
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::session::Tombstone;
use crate::store::{Lookup, StoreError};

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

/// A tombstone as it is stored; its time may be over.
pub(super) fn tombstone(
    tombstones: &impl ReadableTable<&'static Id, Bytes>,
    session_id: SessionId,
) -> Result<Option<Kept<Tombstone>>, StoreError> {
    let kept: Option<Kept<Tombstone>> = row(tombstones.get(session_id.as_bytes())?)?;
    match kept {
        Some(kept) if kept.value.session_id != session_id => {
            Err(corrupt::<Kept<Tombstone>>(Damage::Key))
        }
        Some(_) | None => Ok(kept),
    }
}

/// What is told of a tombstone at `now`: nothing any more when its time is over.
pub(super) fn ended<T>(kept: Option<Kept<Tombstone>>, now: Timestamp) -> Lookup<T> {
    match kept {
        Some(kept) if now < kept.until => Lookup::Ended(Box::new(kept.value)),
        Some(_) | None => Lookup::Unknown,
    }
}

/// The record in a row, if there is one.
pub(super) fn row<T: Stored>(
    bytes: Option<AccessGuard<'_, Bytes>>,
) -> Result<Option<T>, StoreError> {
    bytes.map(|bytes| decode(bytes.value())).transpose()
}
