//! Lines of the log that others can cause: of each kind a few a minute, whoever tries.

use std::fmt::Debug;
use std::hash::Hash;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Lines of a kind a minute, and at once.
const LINES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(5);

/// Says whether a line of a kind may be written.
#[derive(Debug)]
pub(crate) struct LogLimit<K: Debug + Clone + Eq + Hash>(DefaultKeyedRateLimiter<K>);

impl<K: Debug + Clone + Eq + Hash> Default for LogLimit<K> {
    fn default() -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(LINES_PER_MINUTE)))
    }
}

impl<K: Debug + Clone + Eq + Hash> LogLimit<K> {
    pub(crate) fn allows(&self, kind: &K) -> bool {
        self.0.check_key(kind).is_ok()
    }
}
