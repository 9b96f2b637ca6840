//! Whether a copy was overtaken: a generation is taken before the read that makes a copy, and the copy is good as long as
//! the same generation would be taken now. So it makes no difference whether a change is heard of before, during or after
//! the read.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::id::SessionId;
use crate::store::{Partition, Partitions};

/// Sessions share counters, so that their number is bounded; a change ends the copies of all that share its counter.
const COUNTERS: usize = 1 << 16;

/// What was changed up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::node) struct Generation {
    /// Of this very session, or of any service.
    own: u64,
    partition: u64,
}

#[derive(Debug)]
pub(super) struct Generations {
    sessions: Box<[AtomicU64]>,
    services: AtomicU64,
    partitions: Box<[AtomicU64]>,
    cut: Partitions,
}

impl Generations {
    pub(super) fn new(cut: Partitions) -> Self {
        let counters = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            sessions: counters(COUNTERS),
            services: AtomicU64::new(0),
            partitions: counters(cut.count()),
            cut,
        }
    }

    pub(super) fn partitions(&self) -> Partitions {
        self.cut
    }

    pub(super) fn of_session(&self, session_id: SessionId) -> Generation {
        Generation {
            own: read(self.session(session_id)),
            partition: read(self.partition(self.cut.of_session(session_id))),
        }
    }

    pub(super) fn of_services(&self) -> Generation {
        Generation {
            own: read(Some(&self.services)),
            partition: read(self.partition(self.cut.of_services())),
        }
    }

    pub(super) fn invalidate_session(&self, session_id: SessionId) {
        count(self.session(session_id));
    }

    pub(super) fn invalidate_services(&self) {
        count(Some(&self.services));
    }

    pub(super) fn invalidate_partition(&self, partition: Partition) {
        count(self.partition(partition));
    }

    /// The last bytes of an id are random, but for the shard at the very end.
    fn session(&self, session_id: SessionId) -> Option<&AtomicU64> {
        let [.., high, low, _shard] = *session_id.as_bytes();
        self.sessions
            .get(usize::from(u16::from_be_bytes([high, low])))
    }

    fn partition(&self, partition: Partition) -> Option<&AtomicU64> {
        self.partitions.get(partition.0)
    }
}

fn read(counter: Option<&AtomicU64>) -> u64 {
    counter.map_or(0, |counter| counter.load(Ordering::SeqCst))
}

fn count(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_ends_the_generation_of_its_session_or_its_partition_and_no_other() {
        let generations = Generations::new(Partitions::Shards);
        let [one, two] = [1, 2].map(|byte| SessionId::from_bytes([byte; 16]));
        let taken = || {
            (
                generations.of_session(one),
                generations.of_session(two),
                generations.of_services(),
            )
        };
        let before = taken();
        generations.invalidate_session(one);
        let after = taken();
        assert_ne!(after.0, before.0);
        assert_eq!((after.1, after.2), (before.1, before.2));
        generations.invalidate_partition(Partition(2));
        assert_eq!(taken(), (after.0, generations.of_session(two), after.2));
        assert_ne!(generations.of_session(two), after.1);
        generations.invalidate_partition(Partitions::Shards.of_services());
        assert_ne!(generations.of_services(), after.2);
        assert_eq!(generations.of_session(one), after.0);
    }

    #[test]
    fn services_have_a_generation_of_their_own_where_all_is_in_one_partition() {
        let generations = Generations::new(Partitions::One);
        let session_id = SessionId::from_bytes([1; 16]);
        let before = (
            generations.of_session(session_id),
            generations.of_services(),
        );
        generations.invalidate_services();
        assert_eq!(generations.of_session(session_id), before.0);
        assert_ne!(generations.of_services(), before.1);
    }
}
