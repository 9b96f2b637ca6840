//! Uses of sessions that are counted before they are written.

use std::time::Duration;

use super::plan::{Plan, Write};
use crate::model::Timestamp;
use crate::model::record::SessionRecord;
use crate::model::session::Life;

/// How a use is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchPlan {
    /// Written before the answer, because the stored life is short.
    Now,
    /// Noted, and written within this time.
    Within(Duration),
}

/// How a use at `now` is to be kept of a session whose record is stored to expire at `stored_until`.
///
/// The interval is at most a quarter of the idle timeout; what has less than two intervals to live is written at once, unless it has reached
/// its absolute expiry, which no use moves.
#[must_use]
pub fn plan_touch(
    record: &SessionRecord,
    stored_until: Timestamp,
    now: Timestamp,
    longest_interval: Duration,
) -> TouchPlan {
    let interval = longest_interval.min(record.idle_timeout / 4);
    let short =
        stored_until.since(now) < interval * 2 && stored_until < record.session.max_expires_at;
    if short || interval.is_zero() {
        TouchPlan::Now
    } else {
        TouchPlan::Within(interval)
    }
}

/// A life of a record after a use that was noted: one from before the last write is in it already, and one from after the
/// expiry comes too late, so that a use revives nothing.
#[must_use]
pub fn used(record: &SessionRecord, life: Life, at: Timestamp) -> Life {
    if at > life.last_active_at && at < life.expires_at {
        record.used(life, at)
    } else {
        life
    }
}

/// Adds a use that was noted to its record, and tells whether that changed it.
pub fn count(record: &mut SessionRecord, at: Timestamp) -> bool {
    let lived = record.life();
    let life = used(record, lived, at);
    record.session.live(life);
    life != lived
}

/// Writes a use that was noted to the record that is stored.
#[must_use]
pub fn write_use(mut record: SessionRecord, at: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if count(&mut record, at) {
        plan.writes.push(Write::Save(Box::new(record)));
    }
    plan
}
