//! Operations that may be asked for again: the first one is kept, and a repetition tells what it did.

use serde::{Deserialize, Serialize};

use super::entry::SessionEntry;
use super::kept::Kept;
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::id::SessionId;

/// What an operation with an operation id did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationRecord {
    /// It opened a session.
    Created {
        /// The session.
        session_id: SessionId,
        /// The sessions that ended to make room for it.
        evicted: Vec<SessionId>,
    },
    /// It wrote to a session.
    Written {
        /// The session.
        session_id: SessionId,
        /// Whether it added an attribute that was not there.
        inserted: bool,
        /// The value that an increment made.
        made: Option<(AttributeName, AttributeValue)>,
    },
}

impl OperationRecord {
    /// The session it was about.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        match self {
            Self::Created { session_id, .. } | Self::Written { session_id, .. } => *session_id,
        }
    }
}

/// What is kept of the first operation with an operation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstRun {
    /// What it did; its time may be over.
    pub operation: Kept<OperationRecord>,
    /// The session it was about.
    pub session: SessionEntry,
}
