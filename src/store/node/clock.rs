//! The clock of a server as this node knows it: one answer that told its time, and how far it may be wrong by now.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct ServerClock {
    /// What it shows.
    pub(in crate::store) now: Timestamp,
    /// How far `now` may be from that, in either direction.
    pub(in crate::store) error: Duration,
}

impl ServerClock {
    /// Whether it is not exact enough to tell if the moment has come.
    pub(in crate::store) fn is_near(&self, moment: Timestamp) -> bool {
        let (now, error) = (self.now, self.error);
        error > Duration::ZERO && now.plus(error) >= moment && now.minus(error) <= moment
    }
}

/// How much the clocks of two machines may drift apart: twice the 100 ppm of a poor quartz.
const DRIFT_PER_MILLION: u32 = 200;

/// A sample is replaced after this time by a worse one, lest drift that is larger than assumed adds up.
const OLDEST: Duration = Duration::from_secs(10);

/// The time that a server told, which was read somewhere between `sent_at` and `sent_at + 2 * error`.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Sample {
    read_at: Instant,
    micros: i64,
    error: Duration,
}

impl Sample {
    pub(in crate::store) fn new(sent_at: Instant, received_at: Instant, micros: i64) -> Self {
        let error = received_at.duration_since(sent_at) / 2;
        Self {
            read_at: sent_at + error,
            micros,
            error,
        }
    }

    /// Microseconds since the epoch at `at`, and how far that may be wrong.
    fn reading(&self, at: Instant) -> (i64, Duration) {
        let age = at.saturating_duration_since(self.read_at);
        let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let drift = age / 1_000_000 * DRIFT_PER_MILLION;
        (self.micros.saturating_add(micros), self.error + drift)
    }

    /// Whether `newer` can be of the same clock, unstepped.
    fn agrees(&self, newer: &Self) -> bool {
        let (expected, error) = self.reading(newer.read_at);
        let apart = Duration::from_micros(expected.abs_diff(newer.micros));
        apart <= error + newer.error
    }

    /// The better of two samples: the newer one, unless the older is still more exact.
    pub(in crate::store) fn or(self, newer: Self) -> Self {
        let age = newer.read_at.saturating_duration_since(self.read_at);
        let (_, error) = self.reading(newer.read_at);
        if self.agrees(&newer) && age < OLDEST && error < newer.error {
            self
        } else {
            newer
        }
    }

    pub(in crate::store) fn clock(&self, at: Instant) -> ServerClock {
        let (micros, error) = self.reading(at);
        ServerClock {
            now: Timestamp::from_millis(micros / 1_000),
            error: error + Duration::from_millis(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn sample(sent_at: Instant, round_trip: u64, micros: i64) -> Sample {
        Sample::new(sent_at, sent_at + Duration::from_millis(round_trip), micros)
    }

    #[test]
    fn the_error_is_half_the_round_trip_and_grows_with_age() {
        let start = Instant::now();
        let clock = sample(start, 10, HOUR);
        let soon = clock.clock(start + Duration::from_millis(5));
        assert_eq!(soon.now, Timestamp::from_millis(3_600_000));
        assert_eq!(soon.error, Duration::from_millis(6));
        let later = clock.clock(start + Duration::from_secs(5));
        assert!(later.error > soon.error);
    }

    #[test]
    fn an_exact_sample_outlives_a_vague_one() {
        let start = Instant::now();
        let exact = sample(start, 2, HOUR);
        let vague = sample(start + Duration::from_secs(1), 80, HOUR + 1_040_000);
        assert_eq!(exact.or(vague).micros, exact.micros);
    }

    #[test]
    fn a_clock_that_was_set_is_believed_at_once() {
        let start = Instant::now();
        let before = sample(start, 2, HOUR);
        let after = sample(start + Duration::from_secs(1), 80, HOUR - 5_000_000);
        assert_eq!(before.or(after).micros, after.micros);
    }
}
