//! What decisions depend on beside the facts and the request.

use std::time::Duration;

use crate::model::Timestamp;
use crate::model::record::SessionRecord;
use crate::model::session::Session;

/// What every decision depends on beside the facts and the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The present moment, by the store's clock.
    pub now: Timestamp,
    /// Without activity for this long, an active session is shown as idle.
    pub idle_after: Duration,
    /// How long an ended session is told of, from its end.
    pub tombstone_retention: Duration,
}

impl Terms {
    /// A session as callers see it.
    #[must_use]
    pub fn shown(&self, record: SessionRecord) -> Session {
        record.shown(self.now, self.idle_after)
    }
}
