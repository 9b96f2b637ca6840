//! Time is passed in: everything that asks for the time holds a [`Clock`], so tests move it instead of sleeping.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::model::Timestamp;

/// Tells the time to the millisecond.
pub trait Clock: Debug + Send + Sync {
    /// The present moment. It never goes back.
    fn now(&self) -> Timestamp;

    /// How many milliseconds the wall clock is ahead of it; negative behind. Only somebody who sets the wall clock
    /// changes that.
    fn wall_clock_offset(&self) -> i64 {
        0
    }
}

/// What a machine tells of time.
pub trait TimeSource: Debug + Send + Sync {
    /// What the wall clock shows, which anybody may set.
    fn wall_clock(&self) -> Timestamp;

    /// The time since a moment that is the same for as long as the process runs; the machine may have slept meanwhile.
    fn elapsed(&self) -> Duration;
}

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl TimeSource for Machine {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn wall_clock(&self) -> Timestamp {
        Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
    }

    #[cfg(target_os = "linux")]
    fn elapsed(&self) -> Duration {
        let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        since_boot.try_into().unwrap_or_default()
    }

    #[cfg(not(target_os = "linux"))]
    fn elapsed(&self) -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }
}

/// A clock that is set by the wall clock once and then runs on its own: who sets the wall clock neither ends sessions nor
/// lets them live longer.
#[derive(Debug)]
pub struct SteadyClock<S> {
    source: S,
    began_at: Timestamp,
    began: Duration,
}

impl<S: TimeSource> SteadyClock<S> {
    /// Begins with what the wall clock shows.
    #[must_use]
    pub fn new(source: S) -> Self {
        Self {
            began_at: source.wall_clock(),
            began: source.elapsed(),
            source,
        }
    }
}

impl<S: TimeSource> Clock for SteadyClock<S> {
    fn now(&self) -> Timestamp {
        let since = self.source.elapsed().saturating_sub(self.began);
        self.began_at.plus(since)
    }

    fn wall_clock_offset(&self) -> i64 {
        let shown = self.source.wall_clock().millis();
        shown.saturating_sub(self.now().millis())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct SettableClock(AtomicI64);

impl SettableClock {
    /// Starts at the given moment.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.millis()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_this_machine_runs_with_the_wall_clock() {
        let clock = SteadyClock::new(Machine);
        let (start, before) = (std::time::Instant::now(), clock.now());
        std::thread::sleep(Duration::from_millis(50));
        let took = clock.now().since(before);
        assert!(took >= Duration::from_millis(49), "{took:?}");
        assert!(
            took <= start.elapsed() + Duration::from_millis(1),
            "{took:?}"
        );
        assert!(clock.wall_clock_offset().abs() < 1_000);
    }
}
