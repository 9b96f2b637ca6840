//! Bytes that are kept for a day, counted by the hour.

use std::time::Duration;

use crate::model::Timestamp;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// What was kept within the last day counts, and until its hour is over: hours of a day and the one under way.
const HOURS: usize = 25;

/// How much was kept in each of the last hours.
#[derive(Debug, Default)]
pub(super) struct KeptBytes {
    /// The last hour in which something was kept, in hours since the epoch.
    last: u64,
    /// By hour modulo their number.
    of_hour: [u64; HOURS],
}

fn hour_of(at: Timestamp) -> u64 {
    at.sort_key() / u64::try_from(HOUR.as_millis()).unwrap_or(u64::MAX)
}

fn place(hour: u64) -> usize {
    usize::try_from(hour % HOURS as u64).unwrap_or_default()
}

impl KeptBytes {
    pub(super) fn add(&mut self, bytes: u64, now: Timestamp) {
        // A clock that went back adds to the hour that was last.
        let hour = hour_of(now).max(self.last);
        let passed = (hour - self.last).min(HOURS as u64);
        for over in (0..passed).map(|ago| place(hour - ago)) {
            if let Some(bytes) = self.of_hour.get_mut(over) {
                *bytes = 0;
            }
        }
        self.last = hour;
        if let Some(sum) = self.of_hour.get_mut(place(hour)) {
            *sum = sum.saturating_add(bytes);
        }
    }

    pub(super) fn total(&self, now: Timestamp) -> u64 {
        if self.last == 0 {
            return 0;
        }
        let passed = hour_of(now).saturating_sub(self.last);
        let counted = 0..(HOURS as u64).saturating_sub(passed);
        let of_hour = |ago| self.of_hour.get(place(self.last.checked_sub(ago)?));
        counted.filter_map(of_hour).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u32) -> Timestamp {
        Timestamp::from_millis(1_769_846_400_000).plus(HOUR * hours)
    }

    #[test]
    fn what_was_kept_counts_for_a_day_and_its_hour() {
        let mut kept = KeptBytes::default();
        kept.add(1, at(0));
        kept.add(20, at(0));
        kept.add(300, at(23));
        assert_eq!(kept.total(at(24)), 321);
        assert_eq!(kept.total(at(25)), 300);
        kept.add(4_000, at(25));
        assert_eq!(kept.total(at(25)), 4_300);
        assert_eq!(kept.total(at(47)), 4_300);
        assert_eq!(kept.total(at(48)), 4_000);
        assert_eq!(kept.total(at(500)), 0);
        kept.add(5, at(500));
        assert_eq!(kept.total(at(500)), 5);
        kept.add(6, at(499));
        assert_eq!(kept.total(at(499)), 11, "the clock went back");
    }
}
