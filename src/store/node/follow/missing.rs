//! What a follower may not have been told, and when it looks for it in the feed.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Partition;

/// Gaps come in crowds, one for each partition that a server keeps.
const GATHER: Duration = Duration::from_millis(50);
/// The pause after the first read that failed; it doubles with each further one.
const RETRY: Duration = Duration::from_millis(250);
/// The longest pause after a read that failed.
const MAX_RETRY: Duration = Duration::from_secs(5);

/// Partitions of which something may be missing. What comes of them meanwhile cannot be told: it may lie after a hole.
#[derive(Debug, Default)]
pub(super) struct Missing {
    all: bool,
    partitions: HashSet<Partition>,
    due: Option<Instant>,
    failures: u32,
}

impl Missing {
    /// Something of this partition.
    pub(super) fn note(&mut self, partition: Partition) {
        self.partitions.insert(partition);
        self.due.get_or_insert_with(|| Instant::now() + GATHER);
    }

    /// Something of any partition.
    pub(super) fn note_all(&mut self) {
        self.all = true;
        self.look_now();
    }

    /// Nothing that is known of; the feed is read all the same.
    pub(super) fn look_now(&mut self) {
        self.due.get_or_insert_with(Instant::now);
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.partitions.is_empty()
    }

    pub(super) fn has(&self, partition: Partition) -> bool {
        self.all || self.partitions.contains(&partition)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Everything was read, to the end of the feed or not.
    pub(super) fn found(&mut self, caught_up: bool) {
        if caught_up {
            *self = Self::default();
        } else {
            // Should the next read fail, what comes meanwhile must not move the position past what is unread.
            self.all = true;
            self.failures = 0;
            self.due = Some(Instant::now());
        }
    }

    pub(super) fn failed(&mut self) {
        let pause = RETRY.saturating_mul(1 << self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        self.due = Some(Instant::now() + pause.min(MAX_RETRY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: Partition = Partition(256);

    #[test]
    fn one_partition_is_missing_until_all_was_read() {
        let mut missing = Missing::default();
        assert!(missing.due().is_none() && !missing.has(SERVICES));
        missing.note(SERVICES);
        assert!(missing.has(SERVICES) && !missing.has(Partition(0)));
        missing.found(false);
        assert!(missing.has(SERVICES) && missing.is_due());
        missing.found(true);
        assert!(missing.due().is_none() && !missing.has(SERVICES));
    }

    #[test]
    fn a_read_that_fails_before_the_end_leaves_everything_missing() {
        let mut missing = Missing::default();
        missing.found(false);
        missing.failed();
        assert!(missing.has(Partition(0)) && missing.has(SERVICES));
        missing.found(true);
        assert!(!missing.has(Partition(0)));
    }

    #[test]
    fn everything_may_be_missing_at_once() {
        let mut missing = Missing::default();
        missing.note_all();
        assert!(missing.has(Partition(7)) && missing.is_due());
    }

    #[test]
    fn reads_that_fail_become_rarer() {
        let mut missing = Missing::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            missing.failed();
            let pause = missing.due().unwrap() - Instant::now();
            pauses.push(pause);
        }
        assert!(pauses.is_sorted() || pauses[7] <= MAX_RETRY);
        assert!(pauses[7] > RETRY * 8 && pauses[7] <= MAX_RETRY);
    }
}
