//! Until when each part of the feed was heard: read on every request, so it is one atomic number a part.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::places::STREAMS;
use crate::store::Partition;

/// The moments, in microseconds after `start`; zero is none.
#[derive(Debug)]
pub(in crate::store::redis) struct Heard {
    start: Instant,
    until: Vec<AtomicU64>,
}

impl Heard {
    pub(in crate::store::redis) fn new() -> Self {
        Self {
            start: Instant::now(),
            until: (0..STREAMS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What listeners were told before [`Self::prove`] they were told before this answers.
    pub(in crate::store::redis) fn until(&self, partition: Partition) -> Option<Instant> {
        let micros = self.until.get(partition.0)?.load(Ordering::Acquire);
        self.start
            .checked_add(Duration::from_micros(micros))
            .filter(|_| micros > 0)
    }

    /// All that was acknowledged before a moment has been told.
    pub(super) fn prove(&self, stream: usize, moment: Instant) {
        let since = moment.saturating_duration_since(self.start).as_micros();
        self.set(stream, u64::try_from(since).unwrap_or(0));
    }

    pub(super) fn forget(&self, stream: usize) {
        self.set(stream, 0);
    }

    fn set(&self, stream: usize, micros: u64) {
        if let Some(until) = self.until.get(stream) {
            until.store(micros, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_heard_for_itself() {
        let heard = Heard::new();
        let moment = heard.start + Duration::from_millis(7);
        heard.prove(3, moment);
        assert_eq!(heard.until(Partition(3)), Some(moment));
        assert_eq!(heard.until(Partition(4)), None);
        heard.forget(3);
        assert_eq!(heard.until(Partition(3)), None);
        assert_eq!(heard.until(Partition(STREAMS)), None);
    }
}
