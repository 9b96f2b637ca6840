//! How often copies had the answer.

use crate::store::CopiesFigures;
use crate::telemetry::counters::Counter;

/// How often a copy was asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    hits: Counter,
    misses: Counter,
}

impl Asked {
    pub(super) fn count(&self, hit: bool) {
        if hit {
            self.hits.count();
        } else {
            self.misses.count();
        }
    }

    pub(super) fn figures(&self, entries: usize) -> CopiesFigures {
        CopiesFigures {
            hits: self.hits.total(),
            misses: self.misses.total(),
            entries: entries as u64,
        }
    }
}
