//! What scripts on one session answer.

use super::super::record::{self, SESSION};
use super::super::reply::Reply;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::record::SessionRecord;
use crate::model::session::Tombstone;
use crate::rules::entry::SessionEntry;
use crate::rules::refusal::Refusal;
use crate::store::StoreError;

/// The moment and the live record that follow in an answer.
pub(super) fn live(
    session_id: SessionId,
    reply: &mut Reply,
) -> Result<(Timestamp, SessionRecord), StoreError> {
    let now = reply.moment()?;
    match record::decode(session_id, reply.fields()?) {
        SessionEntry::Record(record) => Ok((now, *record)),
        SessionEntry::Tombstone(_) | SessionEntry::Missing => Err(unreadable()),
    }
}

/// The tombstone that follows in an answer.
pub(super) fn tombstone(
    session_id: SessionId,
    reply: &mut Reply,
) -> Result<Box<Tombstone>, StoreError> {
    reply.moment()?;
    match record::decode(session_id, reply.fields()?) {
        SessionEntry::Tombstone(kept) => Ok(Box::new(kept.value)),
        SessionEntry::Record(_) | SessionEntry::Missing => Err(unreadable()),
    }
}

/// What stands against a write, behind one of the words that all scripts on one session know.
pub(super) fn refusal(
    session_id: SessionId,
    word: &str,
    reply: &mut Reply,
) -> Result<Refusal, StoreError> {
    Ok(match word {
        "ended" => Refusal::SessionEnded(tombstone(session_id, reply)?),
        "version" => Refusal::VersionConflict,
        _ => Refusal::SessionUnknown,
    })
}

/// A record that the scripts took for good.
#[derive(Debug, thiserror::Error)]
#[error("its fields do not fit together")]
struct Unreadable;

fn unreadable() -> StoreError {
    StoreError::Corrupt {
        record: SESSION,
        cause: Box::new(Unreadable),
    }
}
