//! Until when each partition of the feed was heard: read on every request, so it is one atomic number a partition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Partition, Partitions};

/// The moments, in microseconds after `start`; zero is none.
#[derive(Debug)]
pub(in crate::store) struct Watermarks {
    start: Instant,
    until: Vec<AtomicU64>,
}

impl Watermarks {
    pub(in crate::store) fn new(partitions: Partitions) -> Self {
        Self {
            start: Instant::now(),
            until: partitions.all().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What listeners were told before [`Self::prove`] they were told before this answers.
    pub(in crate::store) fn until(&self, partition: Partition) -> Option<Instant> {
        let micros = self.until.get(partition.0)?.load(Ordering::Acquire);
        self.start
            .checked_add(Duration::from_micros(micros))
            .filter(|_| micros > 0)
    }

    /// All that was acknowledged before a moment has been told.
    pub(super) fn prove(&self, partition: Partition, moment: Instant) {
        let since = moment.saturating_duration_since(self.start).as_micros();
        self.set(partition, u64::try_from(since).unwrap_or(0));
    }

    pub(super) fn forget(&self, partition: Partition) {
        self.set(partition, 0);
    }

    fn set(&self, partition: Partition, micros: u64) {
        if let Some(until) = self.until.get(partition.0) {
            // Only the task that owns the tail writes, so no later moment is overwritten. Release: who reads this number
            // finds copies ended by whatever was told before it was written.
            until.store(micros, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_is_heard_for_itself() {
        let watermarks = Watermarks::new(Partitions::Shards);
        let moment = watermarks.start + Duration::from_millis(7);
        watermarks.prove(Partition(3), moment);
        assert_eq!(watermarks.until(Partition(3)), Some(moment));
        assert_eq!(watermarks.until(Partition(4)), None);
        watermarks.forget(Partition(3));
        assert_eq!(watermarks.until(Partition(3)), None);
        assert_eq!(watermarks.until(Partition(257)), None);
    }
}
