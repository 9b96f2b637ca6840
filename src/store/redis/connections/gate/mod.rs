//! Who may ask a master next.
//!
//! A server that is asked for more than it can answer answers only later, and what is late helps nobody. So no more is
//! under way there than it answers well within its deadline ([`pace`]), and all else waits for its turn here, where what
//! is urgent waits only behind its like. Not many more may wait than the server answers within the wait; who comes then is
//! told so, while its caller can still do something else. That takes about as much work here as an answer does: so of those
//! who come at once again, however often, a part only is told at once, and the others a while later.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::deadline::Deadlines;
use super::patience::within;

mod pace;

use pace::Pace;

/// What is urgent takes a server next to nothing: of it so much may always be under way, and as much wait.
const FIRST: usize = 256;

/// Of so many that a server answers one is told at once that it is shed.
const TOLD: f64 = 10.0;
/// All others are told within this time: as long as they are asked to wait before they come again.
const HELD: Duration = Duration::from_secs(1);

/// What waits behind what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// What tells whether sessions live, and what ends them.
    First,
    /// All else.
    Later,
}

/// It was not let in; nothing was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shed;

#[derive(Debug)]
pub(super) struct Gate {
    queue: Mutex<Queue>,
    wait: Duration,
    shed: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    first: Line,
    later: Line,
    pace: Pace,
    /// When the next one is told that it is shed.
    next_told: Instant,
}

/// What is of one urgency.
#[derive(Debug, Default)]
struct Line {
    under_way: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// What is under way. Whoever waits longest takes its place.
#[derive(Debug)]
pub(super) struct Turn {
    gate: Option<Arc<Gate>>,
    urgency: Urgency,
    seen: Option<Seen>,
}

/// What was seen of the server.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Answered(Duration),
    Missed,
}

impl Gate {
    pub(super) fn new(deadlines: Deadlines) -> Arc<Self> {
        let now = Instant::now();
        let queue = Queue {
            first: Line::default(),
            later: Line::default(),
            pace: Pace::new(deadlines.command, now),
            next_told: now,
        };
        Arc::new(Self {
            queue: Mutex::new(queue),
            wait: deadlines.wait,
            shed: AtomicU64::new(0),
        })
    }

    /// Its turn, when it comes soon enough.
    pub(super) async fn enter(self: &Arc<Self>, urgency: Urgency) -> Result<Turn, Shed> {
        match self.ask(urgency) {
            Ok(Entry::Turn(turn)) => Ok(turn),
            Ok(Entry::Wait(turn)) => match within(self.wait, turn).await {
                Ok(Ok(turn)) => Ok(turn),
                Ok(Err(_)) | Err(_) => Err(Shed),
            },
            Err(Shed) => Err(Shed),
        }
    }

    /// Counts one that is shed, and returns when it is to be told so.
    pub(super) async fn shed_one(&self, urgency: Urgency) {
        self.shed.fetch_add(1, Ordering::Relaxed);
        let told_at = self.queue().told_at(urgency, Instant::now());
        sleep_until(told_at).await;
    }

    fn ask(self: &Arc<Self>, urgency: Urgency) -> Result<Entry, Shed> {
        let queue = &mut *self.queue();
        let now = Instant::now();
        queue.pass(now, self.wait);
        queue.forget_who_left();
        let ahead = match urgency {
            Urgency::First => queue.first.waiting.len(),
            Urgency::Later => queue.first.waiting.len() + queue.later.waiting.len(),
        };
        if ahead == 0 && queue.has_room(urgency) {
            queue.begin(urgency, now);
            return Ok(Entry::Turn(self.turn(urgency)));
        }
        if ahead >= queue.room(urgency, self.wait) {
            return Err(Shed);
        }
        let (send, turn) = oneshot::channel();
        queue.line(urgency).waiting.push_back(send);
        Ok(Entry::Wait(turn))
    }

    /// Those whose turn it is by now.
    fn leave(self: &Arc<Self>, urgency: Urgency, seen: Option<Seen>) {
        let queue = &mut *self.queue();
        let now = Instant::now();
        queue.pass(now, self.wait);
        match seen {
            Some(Seen::Answered(took)) => queue.pace.answered(took),
            Some(Seen::Missed) => queue.pace.missed(now),
            None => {}
        }
        let line = queue.line(urgency);
        line.under_way = line.under_way.saturating_sub(1);
        for urgency in [Urgency::First, Urgency::Later] {
            while queue.has_room(urgency)
                && let Some(waiting) = queue.line(urgency).waiting.pop_front()
            {
                match waiting.send(self.turn(urgency)) {
                    Ok(()) => queue.begin(urgency, now),
                    // It left meanwhile: it was never under way.
                    Err(mut turn) => turn.gate = None,
                }
            }
        }
        queue.pace.is_under_way(now, queue.under_way());
    }

    fn turn(self: &Arc<Self>, urgency: Urgency) -> Turn {
        Turn {
            gate: Some(Arc::clone(self)),
            urgency,
            seen: None,
        }
    }

    /// What was shed so far.
    pub(super) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// How many may be under way at present.
    pub(super) fn limit(&self) -> usize {
        self.queue().pace.limit()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Entry {
    Turn(Turn),
    Wait(oneshot::Receiver<Turn>),
}

impl Queue {
    fn line(&mut self, urgency: Urgency) -> &mut Line {
        match urgency {
            Urgency::First => &mut self.first,
            Urgency::Later => &mut self.later,
        }
    }

    fn under_way(&self) -> usize {
        self.first.under_way + self.later.under_way
    }

    /// What is urgent need not wait for what is not, also when the server has become slower than it was.
    fn has_room(&self, urgency: Urgency) -> bool {
        match urgency {
            Urgency::First => self.first.under_way < self.pace.limit().max(FIRST),
            Urgency::Later => self.under_way() < self.pace.limit(),
        }
    }

    /// How many may wait, of those that go before this one.
    fn room(&self, urgency: Urgency, wait: Duration) -> usize {
        let room = self.pace.waiting(wait);
        match urgency {
            Urgency::First => room.max(FIRST),
            Urgency::Later => room,
        }
    }

    /// When one is told that it is shed.
    fn told_at(&mut self, urgency: Urgency, now: Instant) -> Instant {
        let rate = self.pace.rate().filter(|_| urgency == Urgency::Later);
        let Some(rate) = rate else {
            return now;
        };
        let told_at = self.next_told.max(now).min(now + HELD);
        self.next_told = told_at + Duration::from_secs_f64(TOLD / rate.max(1.0));
        told_at
    }

    fn begin(&mut self, urgency: Urgency, now: Instant) {
        self.line(urgency).under_way += 1;
        self.pace.is_under_way(now, self.under_way());
    }

    /// When another rate is known, those whose turn would come too late are told so.
    fn pass(&mut self, now: Instant, wait: Duration) {
        if self.pace.pass(now, self.under_way()) {
            let room = self.room(Urgency::First, wait);
            self.first.waiting.truncate(room);
            let room = self.room(Urgency::Later, wait);
            let room = room.saturating_sub(self.first.waiting.len());
            self.later.waiting.truncate(room);
        }
    }

    /// Who has waited for too long stands in front.
    fn forget_who_left(&mut self) {
        for line in [&mut self.first, &mut self.later] {
            while line.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                line.waiting.pop_front();
            }
        }
    }
}

impl Turn {
    /// It was answered within so long.
    pub(super) fn answered(&mut self, took: Duration) {
        self.seen = Some(Seen::Answered(took));
    }

    /// There was no answer within the deadline.
    pub(super) fn missed(&mut self) {
        self.seen = Some(Seen::Missed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.leave(self.urgency, self.seen);
        }
    }
}

#[cfg(test)]
mod tests;
