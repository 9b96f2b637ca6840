//! How often copies had the answer.

use crate::store::EntryStats;
use crate::telemetry::counters::Counter;

#[derive(Debug, Default)]
pub(super) struct HitCounter {
    hits: Counter,
    misses: Counter,
}

impl HitCounter {
    pub(super) fn count(&self, hit: bool) {
        if hit {
            self.hits.count();
        } else {
            self.misses.count();
        }
    }

    pub(super) fn stats(&self, entries: usize) -> EntryStats {
        EntryStats {
            hits: self.hits.total(),
            misses: self.misses.total(),
            entries: entries as u64,
        }
    }
}
