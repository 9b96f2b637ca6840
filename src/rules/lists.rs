//! Where a list of sessions goes on: after the last session that was looked at.

use super::refusal::Refusal;
use crate::model::id::SessionId;
use crate::model::page::Cursor;

/// Starts the cursors of session lists; the id of the last session that was looked at follows.
const CURSOR: u8 = b's';

/// Where to go on after a session.
#[must_use]
pub fn cursor_after(session_id: SessionId) -> Cursor {
    Cursor::new([&[CURSOR], session_id.as_bytes().as_slice()].concat())
}

/// The session after which to go on; none at the start.
pub fn position(cursor: Option<&Cursor>) -> Result<Option<SessionId>, Refusal> {
    match cursor.map(Cursor::position) {
        None => Ok(None),
        Some([CURSOR, id @ ..]) => {
            let id = <[u8; 16]>::try_from(id).or(Err(Refusal::CursorInvalid))?;
            Ok(Some(SessionId::from_bytes(id)))
        }
        Some(_) => Err(Refusal::CursorInvalid),
    }
}
