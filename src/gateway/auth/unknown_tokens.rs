//! Tokens that are no session's. A few are old cookies; very many are guesses, or tokens of another installation.
//!
//! Nobody is slowed down for them: who asks is a service or a proxy, and all its users would wait. 256 random bits are not
//! guessed; an operator hears of who tries.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::counters::Counter;

/// Within which they are counted together, and told of once.
const WINDOW: Duration = Duration::from_secs(60);

/// From so many on in a window an operator hears of them.
const MANY: u64 = 1_000;

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct UnknownTokens {
    total: Counter,
    window: Mutex<Option<Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    count: u64,
}

impl UnknownTokens {
    /// Counts one.
    pub(super) fn count(&self) {
        self.total.count();
        if self.are_many(Instant::now()) {
            tracing::warn!(
                "{MANY} unknown tokens within {} seconds: somebody guesses, or sends tokens of another installation",
                WINDOW.as_secs()
            );
        }
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.total.total()
    }

    /// Counts one of a window, and tells whether they have just become many.
    fn are_many(&self, now: Instant) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way =
            window.filter(|window| now.saturating_duration_since(window.began) < WINDOW);
        let mut counted = under_way.unwrap_or(Window {
            began: now,
            count: 0,
        });
        counted.count += 1;
        *window = Some(counted);
        counted.count == MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_told_of_once_in_a_window() {
        let tokens = UnknownTokens::default();
        let start = Instant::now();
        let many = |at: Instant| (0..3 * MANY).filter(|_| tokens.are_many(at)).count();
        assert_eq!(many(start), 1);
        assert_eq!(many(start + WINDOW / 2), 0);
        assert_eq!(many(start + WINDOW), 1);
    }

    #[test]
    fn a_few_in_each_window_are_not_told_of() {
        let tokens = UnknownTokens::default();
        let mut now = Instant::now();
        for _ in 0..5 {
            assert!((1..MANY).all(|_| !tokens.are_many(now)));
            now += WINDOW;
        }
    }
}
