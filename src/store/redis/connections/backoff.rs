//! How long to wait before the next attempt to connect: doubling, bounded, and apart from what other nodes do.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(25);

/// With the deadline of a connection, Redis is found at most two seconds after it is back, however long it was away.
const LONGEST: Duration = Duration::from_millis(400);

#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// Between half of the step and all of it, by `random`.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(LONGEST);
        step / 2 + (step / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Spreads the attempts of several gateways; without randomness they are merely not spread.
pub(super) fn jitter() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let steps: Vec<_> = (0..7).map(|_| backoff.next(u32::MAX)).collect();
        assert_eq!(steps.first(), Some(&FIRST));
        assert!(steps.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(steps.last(), Some(&LONGEST));
    }

    #[test]
    fn jitter_keeps_at_least_half_a_step() {
        assert_eq!(Backoff::default().next(0), FIRST / 2);
    }
}
