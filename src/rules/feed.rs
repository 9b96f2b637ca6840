//! How long events are kept.

use std::time::Duration;

use super::terms::Terms;
use crate::model::Timestamp;

/// How far events may be ahead of the present, as clocks differ.
const AHEAD: Duration = Duration::from_secs(5);

/// What the moment at which an event was appended tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventAge {
    /// It is to be kept.
    Kept,
    /// It, and what was appended before it, was kept long enough.
    Over,
    /// Nothing: a clock was wrong. It is no younger than the events after it.
    Unknown,
}

/// Whether an event was kept long enough.
#[must_use]
pub fn age(appended_at: Timestamp, retention: Duration, terms: &Terms) -> EventAge {
    if appended_at > terms.now.plus(AHEAD) {
        EventAge::Unknown
    } else if terms.now < appended_at.plus(retention) {
        EventAge::Kept
    } else {
        EventAge::Over
    }
}
