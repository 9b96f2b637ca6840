//! What one service takes at this node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::kept::KeptBytes;
use crate::model::Timestamp;
use crate::model::quota::Quota;

/// Opens are counted in steps of this.
const STEP: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Uses {
    requests: AtomicU64,
    followers: AtomicU64,
    /// As it was counted last.
    live: AtomicU64,
    opens: Mutex<Opens>,
    kept: Mutex<KeptBytes>,
}

/// Sessions opened since a moment, within one step.
#[derive(Debug, Default, Clone, Copy)]
struct Opens {
    since: Option<Timestamp>,
    count: u64,
}

impl Opens {
    /// Those of the step that is under way; a clock that went back begins another one.
    fn at(self, now: Timestamp) -> Self {
        let goes_on = |since: Timestamp| since <= now && now < since.plus(STEP);
        match self.since {
            Some(since) if goes_on(since) => self,
            Some(_) | None => Self {
                since: Some(now),
                count: 0,
            },
        }
    }
}

impl Uses {
    /// What is taken and given back.
    const fn held(&self, quota: Quota) -> Option<&AtomicU64> {
        match quota {
            Quota::RequestsInFlight => Some(&self.requests),
            Quota::Followers => Some(&self.followers),
            Quota::OpensPerSecond | Quota::LiveSessions | Quota::IdempotencyBytes => None,
        }
    }

    pub(super) fn opens(&self, now: Timestamp) -> u64 {
        let opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        opens.at(now).count
    }

    /// Counts one more, if it is within the limit.
    pub(super) fn open(&self, limit: u64, now: Timestamp) -> bool {
        let mut opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        *opens = opens.at(now);
        let fits = limit == 0 || opens.count < limit;
        opens.count += u64::from(fits);
        fits
    }

    pub(super) fn used(&self, quota: Quota, now: Timestamp) -> u64 {
        match quota {
            Quota::RequestsInFlight => self.requests.load(Ordering::Relaxed),
            Quota::Followers => self.followers.load(Ordering::Relaxed),
            Quota::LiveSessions => self.live.load(Ordering::Relaxed),
            Quota::OpensPerSecond => self.opens(now),
            Quota::IdempotencyBytes => self.kept_bytes().total(now),
        }
    }

    fn kept_bytes(&self) -> MutexGuard<'_, KeptBytes> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_live(&self, count: u64) {
        self.live.store(count, Ordering::Relaxed);
    }

    pub(super) fn keep(&self, bytes: u64, now: Timestamp) {
        self.kept_bytes().add(bytes, now);
    }

    /// Whether nothing is counted any more beside what is held.
    pub(super) fn are_over(&self, now: Timestamp) -> bool {
        self.opens(now) == 0 && self.kept_bytes().total(now) == 0
    }
}

/// A place that a service takes, given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    uses: Arc<Uses>,
    quota: Quota,
}

impl Held {
    /// Takes one more, if it is within the limit.
    pub(super) fn take(uses: Arc<Uses>, quota: Quota, limit: u64) -> Option<Self> {
        // Given back by the drop when it is too many.
        let taken = Self { uses, quota };
        let before = taken
            .uses
            .held(quota)
            .map_or(0, |held| held.fetch_add(1, Ordering::Relaxed));
        (limit == 0 || before < limit).then_some(taken)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(held) = self.uses.held(self.quota) {
            held.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_846_400_000);

    #[test]
    fn opens_are_counted_anew_with_each_second_and_after_a_step_back() {
        let uses = Uses::default();
        let second = NOW.plus(STEP);
        let back = NOW.minus(STEP);
        for now in [NOW, second, back] {
            assert!(uses.open(2, now) && uses.open(2, now));
            assert!(!uses.open(2, now));
            assert_eq!(uses.opens(now), 2);
        }
        assert!(uses.open(0, back), "no limit");
    }

    #[test]
    fn a_place_is_given_back_and_a_refused_one_was_never_taken() {
        let uses = Arc::new(Uses::default());
        let take = || Held::take(Arc::clone(&uses), Quota::Followers, 1);
        let one = take();
        assert!(one.is_some() && take().is_none() && take().is_none());
        drop(one);
        assert!(take().is_some());
    }
}
