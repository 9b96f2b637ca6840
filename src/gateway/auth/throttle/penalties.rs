//! How long sources are slowed down: each time twice as long as the time before, until they keep quiet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Source;

/// The first time.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest time: who mends a wrong secret is not told to wait much longer than that takes.
const LONGEST: Duration = Duration::from_secs(64);

/// Sources that are remembered, at about 100 bytes each: as many as a store keeps. All beyond begin with the shortest
/// time whenever they fail too often.
const MOST: usize = 10_000;

/// Between two looks for what can be forgotten, when there is no room.
const TIDY: Duration = Duration::from_secs(1);

/// The sources that are slowed down, and those that were lately.
#[derive(Debug, Default)]
pub(super) struct Penalties(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    each: HashMap<Source, Penalty>,
    tidied: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Penalty {
    until: Instant,
    length: Duration,
}

impl Penalty {
    fn from(now: Instant, length: Duration) -> Self {
        let until = now + length;
        Self { until, length }
    }

    /// Whether the source has kept quiet for as long again as it was slowed down.
    fn is_forgiven(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.until) > self.length
    }
}

impl Penalties {
    /// For how much longer a source is slowed down.
    pub(super) fn left(&self, source: &Source, now: Instant) -> Option<Duration> {
        let state = self.lock();
        let left = state.each.get(source)?.until.checked_duration_since(now)?;
        Some(left).filter(|left| !left.is_zero())
    }

    /// Slows a source down, and tells for how long.
    pub(super) fn begin(&self, source: Source, now: Instant) -> Duration {
        let mut state = self.lock();
        let last = state.each.get(&source).copied();
        let last = last.filter(|last| !last.is_forgiven(now));
        let length = last.map_or(SHORTEST, |last| LONGEST.min(last.length * 2));
        state.put(source, Penalty::from(now, length), now);
        length
    }

    /// A source is slowed down by another node.
    pub(super) fn hear(&self, source: Source, left: Duration, now: Instant) {
        self.lock().put(source, Penalty::from(now, left), now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, source: Source, penalty: Penalty, now: Instant) {
        if self.each.len() >= MOST && !self.each.contains_key(&source) {
            self.tidy(now);
        }
        if self.each.len() < MOST || self.each.contains_key(&source) {
            self.each.insert(source, penalty);
        }
    }

    fn tidy(&mut self, now: Instant) {
        let tidied = self.tidied;
        if tidied.is_none_or(|tidied| now.saturating_duration_since(tidied) >= TIDY) {
            self.each.retain(|_, penalty| !penalty.is_forgiven(now));
            self.tidied = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn source(number: u32) -> Source {
        Source::Address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn each_is_twice_as_long_as_the_one_before_until_the_source_keeps_quiet() {
        let penalties = Penalties::default();
        let mut now = Instant::now();
        let mut lengths = Vec::new();
        for _ in 0..9 {
            let length = penalties.begin(source(1), now);
            assert_eq!(penalties.left(&source(1), now), Some(length));
            lengths.push(length.as_secs());
            now += length;
            assert_eq!(penalties.left(&source(1), now), None);
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(penalties.left(&source(2), now), None);
        now += LONGEST;
        assert_eq!(penalties.begin(source(1), now), LONGEST);
        now += 2 * LONGEST + TIDY;
        assert_eq!(penalties.begin(source(1), now), SHORTEST);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_makes_room_when_it_is_over() {
        let penalties = Penalties::default();
        let most = u32::try_from(MOST).unwrap();
        let now = Instant::now();
        for number in 0..most + 5 {
            penalties.begin(source(number), now);
        }
        assert_eq!(penalties.lock().each.len(), MOST);
        assert_eq!(penalties.left(&source(most), now), None);
        assert!(penalties.left(&source(0), now).is_some(), "none is lost");
        let later = now + 3 * SHORTEST;
        penalties.begin(source(most), later);
        assert_eq!(penalties.lock().each.len(), 1);
    }
}
