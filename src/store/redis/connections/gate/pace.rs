//! How much may be under way at a server. It is halved when answers do not come within their deadline, and grows again
//! while as much is under way as may and answers come early; who asks little may have the most. So a slow server is asked
//! for what it can answer in time. How many it answers a second is measured while as much is under way as may, or answers
//! are missed; a second after that it tells nothing.
//!
//! That an answer is late tells nothing, as our own runtime may have been busy; one that is missed does, as such time does
//! not count against the deadline.

use std::time::Duration;

use tokio::time::Instant;

/// After which what was seen counts.
const WINDOW: Duration = Duration::from_millis(100);
/// While as much as may was under way for less than this part of a window, it is not taken for all that can be.
const ENOUGH: u32 = 4;
/// One missed answer of so many is too much.
const FEW: u32 = 10;
/// How much a window counts against those before it: answers come in bursts.
const SMOOTHING: f64 = 0.2;
/// How long something is believed after it was seen last.
const BELIEVED: Duration = Duration::from_secs(1);
/// As much may always be under way, also at a server that answers no more than some hundreds a second.
const LEAST: usize = 32;
/// As much as a quick server answers well within its deadline.
const MOST: usize = 256;
/// As many may wait while it is not known how many are answered.
const UNKNOWN_WAITING: usize = 2_048;

#[derive(Debug)]
pub(super) struct Pace {
    deadline: Duration,
    limit: usize,
    /// Answers a second, if that was measured a short while ago.
    rate: Option<f64>,
    /// When the limit was last reached, or answers were missed.
    busy_at: Instant,
    /// When the limit was last lowered: what was sent before tells nothing of it.
    lowered_at: Instant,
    window: Window,
}

/// What was seen since a moment.
#[derive(Debug)]
struct Window {
    since: Instant,
    answered: u32,
    took: Duration,
    /// Answers that did not come in time to what was sent under the present limit.
    missed: u32,
    /// The most that was under way.
    peak: usize,
    /// For how long as much was under way as may, and what was answered meanwhile.
    full: Duration,
    answered_full: u32,
    full_since: Option<Instant>,
}

impl Window {
    fn begin(now: Instant, under_way: usize, limit: usize) -> Self {
        Self {
            since: now,
            answered: 0,
            took: Duration::ZERO,
            missed: 0,
            peak: under_way,
            full: Duration::ZERO,
            answered_full: 0,
            full_since: (under_way >= limit).then_some(now),
        }
    }
}

impl Pace {
    /// Of a server that has shown nothing yet.
    pub(super) fn new(deadline: Duration, now: Instant) -> Self {
        Self {
            deadline,
            limit: MOST,
            rate: None,
            busy_at: now,
            lowered_at: now,
            window: Window::begin(now, 0, MOST),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Answers a second, if that was measured a short while ago.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// How many may wait so long for their turn: as many as are answered meanwhile, and always as many as one operation
    /// on many records asks at once.
    pub(super) fn waiting(&self, time: Duration) -> usize {
        let answered = |rate: f64| whole(rate * time.as_secs_f64()).max(MOST);
        self.rate.map_or(UNKNOWN_WAITING, answered)
    }

    /// So much is under way from now on.
    pub(super) fn is_under_way(&mut self, now: Instant, under_way: usize) {
        let window = &mut self.window;
        window.peak = window.peak.max(under_way);
        match window.full_since {
            None if under_way >= self.limit => window.full_since = Some(now),
            Some(since) if under_way < self.limit => {
                window.full += now.saturating_duration_since(since);
                window.full_since = None;
            }
            Some(_) | None => {}
        }
    }

    pub(super) fn answered(&mut self, took: Duration) {
        let window = &mut self.window;
        window.answered += 1;
        window.took += took;
        window.answered_full += u32::from(window.full_since.is_some());
    }

    /// An answer did not come in time.
    pub(super) fn missed(&mut self, now: Instant) {
        if now.saturating_duration_since(self.lowered_at) >= self.deadline {
            self.window.missed += 1;
        }
    }

    /// Ends a window when it is over; tells whether it was.
    pub(super) fn pass(&mut self, now: Instant, under_way: usize) -> bool {
        let length = now.saturating_duration_since(self.window.since);
        if length < WINDOW {
            return false;
        }
        if let Some(since) = self.window.full_since {
            self.window.full += now.saturating_duration_since(since);
        }
        if length < BELIEVED || under_way > 0 {
            self.learn(now, length);
        }
        if now.saturating_duration_since(self.busy_at) >= BELIEVED {
            self.rate = None;
            self.limit = MOST;
        }
        self.window = Window::begin(now, under_way, self.limit);
        true
    }

    fn learn(&mut self, now: Instant, length: Duration) {
        let Window {
            answered,
            took,
            missed,
            peak,
            full,
            answered_full,
            ..
        } = self.window;
        let is_full = full >= WINDOW / ENOUGH;
        let misses = missed > answered / FEW;
        if !is_full && !misses {
            return;
        }
        let seen = if is_full {
            f64::from(answered_full) / full.as_secs_f64()
        } else {
            f64::from(answered) / length.as_secs_f64()
        };
        let smooth = |rate: f64| rate + (seen - rate) * SMOOTHING;
        self.rate = Some(self.rate.map_or(seen, smooth));
        self.busy_at = now;
        let early = |mean| mean < self.deadline / 2;
        if misses {
            self.lowered_at = now;
            self.limit = (self.limit.min(peak) / 2).max(LEAST);
        } else if took.checked_div(answered).is_some_and(early) {
            self.limit = (self.limit + self.limit / 8).min(MOST);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of requests, which is never negative; what is too large becomes the largest"
)]
fn whole(count: f64) -> usize {
    count as usize
}
