//! What is stored.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::event::Fact;
use crate::model::id::SessionId;
use crate::model::record::SessionRecord;
pub(super) use crate::rules::Kept;

/// A live session, and where its entry in the expiry index stands: at its expiry or before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredSession {
    pub(super) record: SessionRecord,
    pub(super) indexed_at: Timestamp,
}

/// An event and when it was appended: an expiry tells of a moment before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredEvent {
    pub(super) appended_at: Timestamp,
    pub(super) fact: Fact,
}

/// What an operation with a mark did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Effect {
    /// It opened a session.
    Created {
        session_id: SessionId,
        evicted: Vec<SessionId>,
    },
    /// It wrote to a session; an increment has made this value.
    Written {
        session_id: SessionId,
        inserted: bool,
        made: Option<(AttributeName, AttributeValue)>,
    },
}
