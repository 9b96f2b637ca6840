//! Lines of the log that others can cause: of each kind a few a minute, whoever tries.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

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

/// The same, and each line tells how many of its kind were left out before it.
#[derive(Debug)]
pub(crate) struct CountedLogLimit<K: Debug + Clone + Eq + Hash> {
    limit: LogLimit<K>,
    left_out: Mutex<HashMap<K, u64>>,
}

impl<K: Debug + Clone + Eq + Hash> Default for CountedLogLimit<K> {
    fn default() -> Self {
        Self {
            limit: LogLimit::default(),
            left_out: Mutex::default(),
        }
    }
}

impl<K: Debug + Clone + Eq + Hash> CountedLogLimit<K> {
    /// How many lines of a kind were left out since the last, if this one may be written; otherwise it is left out too.
    pub(crate) fn allows(&self, kind: &K) -> Option<u64> {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        if self.limit.allows(kind) {
            return Some(left_out.remove(kind).unwrap_or(0));
        }
        *left_out.entry(kind.clone()).or_default() += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_left_out_is_counted() {
        let limit = CountedLogLimit::default();
        let allowed: Vec<_> = (0..10).filter_map(|_| limit.allows(&"a")).collect();
        assert_eq!(allowed, [0; 6]);
        assert_eq!(limit.left_out.lock().unwrap().get("a"), Some(&4));
        assert_eq!(limit.allows(&"b"), Some(0));
    }
}
