//! Until when each partition of the feed was heard, and what stood last in it then. The moment is read on every request,
//! so it is one atomic number a partition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::position::Position;
use crate::store::{Partition, Partitions};

/// A moment of each partition, in microseconds after `start`; zero is none.
#[derive(Debug)]
pub(in crate::store) struct Moments {
    start: Instant,
    each: Vec<AtomicU64>,
}

impl Moments {
    pub(in crate::store) fn new(partitions: Partitions) -> Self {
        Self {
            start: Instant::now(),
            each: partitions.all().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(in crate::store) fn at(&self, partition: Partition) -> Option<Instant> {
        let micros = self.each.get(partition.0)?.load(Ordering::Acquire);
        self.start
            .checked_add(Duration::from_micros(micros))
            .filter(|_| micros > 0)
    }

    /// Not before a moment that is known already.
    pub(in crate::store) fn advance(&self, partition: Partition, moment: Instant) {
        let since = moment.saturating_duration_since(self.start).as_micros();
        if let Some(micros) = self.each.get(partition.0) {
            // Release: who reads this number finds copies ended by whatever was told before it was written.
            let since = u64::try_from(since).unwrap_or(0);
            micros.fetch_max(since, Ordering::Release);
        }
    }

    fn forget(&self, partition: Partition) {
        if let Some(micros) = self.each.get(partition.0) {
            micros.store(0, Ordering::Release);
        }
    }
}

#[derive(Debug)]
pub(in crate::store) struct Watermarks {
    until: Moments,
    lasts: Mutex<Vec<Position>>,
}

impl Watermarks {
    pub(in crate::store) fn new(partitions: Partitions) -> Self {
        Self {
            until: Moments::new(partitions),
            lasts: Mutex::new(vec![Position::default(); partitions.count()]),
        }
    }

    /// What listeners were told before [`Self::prove`] they were told before this answers.
    pub(in crate::store) fn until(&self, partition: Partition) -> Option<Instant> {
        self.until.at(partition)
    }

    /// What stands last in a partition: of all that was acknowledged up to the moment that [`Self::until`] told before
    /// this is asked.
    pub(in crate::store) fn last(&self, partition: Partition) -> Position {
        let lasts = self.lasts.lock().unwrap_or_else(PoisonError::into_inner);
        lasts.get(partition.0).copied().unwrap_or_default()
    }

    /// An event was heard, and is about to be told.
    pub(super) fn note(&self, partition: Partition, last: Position) {
        let mut lasts = self.lasts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lasts.get_mut(partition.0) {
            *known = last;
        }
    }

    /// All that was acknowledged before a moment has been told.
    pub(super) fn prove(&self, partition: Partition, moment: Instant) {
        self.until.advance(partition, moment);
    }

    pub(super) fn forget(&self, partition: Partition) {
        self.until.forget(partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_is_heard_for_itself() {
        let watermarks = Watermarks::new(Partitions::Shards);
        let moment = watermarks.until.start + Duration::from_millis(7);
        watermarks.prove(Partition(3), moment);
        assert_eq!(watermarks.until(Partition(3)), Some(moment));
        assert_eq!(watermarks.until(Partition(4)), None);
        watermarks.forget(Partition(3));
        assert_eq!(watermarks.until(Partition(3)), None);
        assert_eq!(watermarks.until(Partition(257)), None);
    }
}
