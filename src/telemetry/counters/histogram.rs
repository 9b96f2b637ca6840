//! How values are spread: how many lie up to each of some bounds, and their sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Striped;

/// The most bounds that buckets have.
pub const MOST_BOUNDS: usize = 14;

/// What values are sorted by.
#[derive(Debug, PartialEq, Eq)]
pub struct Buckets {
    /// The greatest value of each range, ascending and at most [`MOST_BOUNDS`]; a last range has no bound.
    pub bounds: &'static [u64],
    /// How many units of a value are one second.
    pub per_second: u32,
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;

/// In nanoseconds, from what memory answers to the longest deadline.
pub static LATENCIES: Buckets = Buckets {
    bounds: &[
        50 * MICROSECOND,
        100 * MICROSECOND,
        250 * MICROSECOND,
        500 * MICROSECOND,
        MILLISECOND,
        5 * MILLISECOND / 2,
        5 * MILLISECOND,
        10 * MILLISECOND,
        25 * MILLISECOND,
        50 * MILLISECOND,
        100 * MILLISECOND,
        250 * MILLISECOND,
        1_000 * MILLISECOND,
        5_000 * MILLISECOND,
    ],
    per_second: 1_000_000_000,
};

/// Sorts values into ranges.
#[derive(Debug)]
pub struct Histogram {
    buckets: &'static Buckets,
    stripes: Striped<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    ranges: [AtomicU64; MOST_BOUNDS + 1],
    sum: AtomicU64,
}

/// What was sorted up to a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The buckets.
    pub buckets: &'static Buckets,
    /// How many values lie in each range; one more than bounds.
    pub ranges: Vec<u64>,
    /// The sum of all values, in the unit of the buckets.
    pub sum: u64,
}

impl Histogram {
    /// Without any value.
    #[must_use]
    pub fn new(buckets: &'static Buckets) -> Self {
        Self {
            buckets,
            stripes: Striped::default(),
        }
    }

    /// Takes a value, in the unit of the buckets.
    pub fn take(&self, value: u64) {
        let bounds = self.buckets.bounds;
        let range = bounds.iter().position(|bound| value <= *bound);
        let cells = self.stripes.own();
        if let Some(range) = cells.ranges.get(range.unwrap_or(bounds.len())) {
            range.fetch_add(1, Ordering::Relaxed);
        }
        cells.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Takes a time, into buckets of nanoseconds.
    pub fn take_time(&self, time: Duration) {
        self.take(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What was taken so far.
    #[must_use]
    pub fn seen(&self) -> Snapshot {
        let ranges = 0..=self.buckets.bounds.len();
        let in_range = |range: usize| -> u64 {
            let cells = self.stripes.each();
            let counts = cells.filter_map(|cells| cells.ranges.get(range));
            counts.map(|count| count.load(Ordering::Relaxed)).sum()
        };
        let sums = self.stripes.each();
        Snapshot {
            buckets: self.buckets,
            ranges: ranges.map(in_range).collect(),
            sum: sums.map(|cells| cells.sum.load(Ordering::Relaxed)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_range_below_it() {
        static BUCKETS: Buckets = Buckets {
            bounds: &[10, 20],
            per_second: 1,
        };
        let histogram = Histogram::new(&BUCKETS);
        for value in [0, 10, 11, 20, 21, 1_000] {
            histogram.take(value);
        }
        let seen = histogram.seen();
        assert_eq!((seen.ranges, seen.sum), (vec![2, 2, 2], 1_062));
    }
}
