//! Counting that costs next to nothing, for what happens on every request.
//!
//! Each number is kept in several stripes, far enough apart in memory not to share a line of any cache. A thread counts
//! in one of them, so cores seldom meet; the sum is made when somebody looks.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

mod histogram;

pub use histogram::{Buckets, Histogram, LATENCIES, MOST_BOUNDS, Snapshot};

/// Stripes of each number; with more threads than that, some share.
const STRIPES: usize = 8;

/// One number in all its stripes.
#[derive(Debug, Default)]
struct Striped<T>([CachePadded<T>; STRIPES]);

impl<T> Striped<T> {
    /// The stripe of this thread.
    fn own(&self) -> &T {
        let [first, ..] = &self.0;
        self.0.get(own_stripe()).unwrap_or(first)
    }

    fn each(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|stripe| &**stripe)
    }
}

/// Threads take stripes in turn.
fn own_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let known = OWN.get();
    if known < STRIPES {
        return known;
    }
    let taken = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    OWN.set(taken);
    taken
}

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(Striped<AtomicU64>);

impl Counter {
    /// Counts one more.
    pub fn count(&self) {
        self.0.own().fetch_add(1, Ordering::Relaxed);
    }

    /// How many were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        let stripes = self.0.each();
        stripes.map(|stripe| stripe.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_adds_up() {
        let counter = Counter::default();
        std::thread::scope(|threads| {
            for _ in 0..2 * STRIPES {
                threads.spawn(|| (0..1_000).for_each(|_| counter.count()));
            }
        });
        assert_eq!(counter.total(), 2_000 * STRIPES as u64);
    }
}
