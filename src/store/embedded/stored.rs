//! What is stored.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::model::event::Fact;
use crate::model::record::SessionRecord;

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
