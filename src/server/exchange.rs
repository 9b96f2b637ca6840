//! What a connection is doing, shared by its stream and its service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Deadlines;

/// How long a connection must have been idle to give way: its request may be on its way here.
pub(super) const LEAST_IDLE: Duration = Duration::from_millis(50);

/// How long a header may be on its way before its connection counts as idle.
const SLOW_HEADER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Waiting for the first request.
    Accepted {
        since: Instant,
    },
    /// Waiting for the next request.
    Idle {
        since: Instant,
    },
    /// A part of a header is there.
    Header {
        since: Instant,
    },
    Busy,
    /// Answered; the rest of the request is still read.
    Rest,
    /// Answered, and over.
    Closing,
    /// Speaking something else than HTTP, which has deadlines of its own for silence.
    Upgraded,
}

/// What comes after an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum After {
    NextRequest,
    /// The rest of the request, and then the next one.
    Rest,
    Close,
    Upgrade,
}

#[derive(Debug, Clone)]
pub(super) struct Exchange(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    gave_way: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    after: After,
    requests: u64,
    gives_way: bool,
    is_stream: bool,
}

/// A request whose header is complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) number: u64,
    /// It came when its connection had just given way to another, and is the last one.
    pub(super) is_last: bool,
}

impl Exchange {
    pub(super) fn accepted() -> Self {
        let since = Instant::now();
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                phase: Phase::Accepted { since },
                after: After::NextRequest,
                requests: 0,
                gives_way: false,
                is_stream: false,
            }),
            gave_way: Notify::new(),
        }))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A header is complete.
    pub(super) fn begin(&self) -> Begun {
        self.with(|state| {
            state.phase = Phase::Busy;
            state.requests += 1;
            Begun {
                number: state.requests,
                is_last: state.gives_way,
            }
        })
    }

    /// The head of the answer is there. A stream of what happens may be taken at any pace.
    pub(super) fn answered(&self, after: After, is_stream: bool) {
        self.with(|state| {
            state.after = after;
            state.is_stream = is_stream;
        });
    }

    /// Whether the client must take the answer at some pace.
    pub(super) fn has_pace(&self) -> bool {
        self.with(|state| !state.is_stream && !matches!(state.phase, Phase::Upgraded))
    }

    /// The answer is with hyper to its last byte.
    pub(super) fn end(&self) {
        let since = Instant::now();
        self.with(|state| {
            state.phase = match state.after {
                After::NextRequest => Phase::Idle { since },
                After::Rest => Phase::Rest,
                After::Close => Phase::Closing,
                After::Upgrade => Phase::Upgraded,
            };
        });
    }

    /// The rest of this request is read. The next one may have begun.
    pub(super) fn rest_is_read(&self, request: u64) {
        let since = Instant::now();
        self.with(|state| {
            if state.requests != request || !matches!(state.after, After::Rest) {
                return;
            }
            state.after = After::NextRequest;
            if matches!(state.phase, Phase::Rest) {
                state.phase = Phase::Idle { since };
            }
        });
    }

    pub(super) fn bytes_came(&self) {
        self.with(|state| match state.phase {
            Phase::Accepted { since } => state.phase = Phase::Header { since },
            Phase::Idle { .. } => {
                state.phase = Phase::Header {
                    since: Instant::now(),
                };
            }
            Phase::Header { .. } | Phase::Busy | Phase::Rest | Phase::Closing | Phase::Upgraded => {
            }
        });
    }

    /// Until when the client may be silent.
    pub(super) fn silent_until(&self, deadlines: &Deadlines) -> Option<Instant> {
        self.with(|state| match state.phase {
            Phase::Idle { since } => Some(since + deadlines.idle),
            Phase::Accepted { since } | Phase::Header { since } => Some(since + deadlines.header),
            Phase::Busy | Phase::Rest | Phase::Closing | Phase::Upgraded => None,
        })
    }

    /// Whether something that nobody reads may still be on its way: the rest of a request that was answered early, or
    /// of a header that hyper has refused.
    pub(super) fn leaves_bytes_unread(&self) -> bool {
        self.with(|state| match state.phase {
            Phase::Header { .. } | Phase::Rest | Phase::Closing => true,
            Phase::Busy => matches!(state.after, After::Rest | After::Close),
            Phase::Accepted { .. } | Phase::Idle { .. } | Phase::Upgraded => false,
        })
    }

    /// Since when nothing is asked here, if that is long enough to give way to others.
    pub(super) fn idle_since(&self, now: Instant) -> Option<Instant> {
        self.with(|state| state.idle_since())
            .filter(|(since, least)| now.duration_since(*since) >= *least)
            .map(|(since, _least)| since)
    }

    /// Closes the connection if it has been idle all the time since then.
    pub(super) fn give_way(&self, since: Instant) -> bool {
        let gives_way = self.with(|state| {
            let is_idle = state.idle_since().is_some_and(|(idle, _)| idle == since);
            state.gives_way |= is_idle;
            is_idle
        });
        if gives_way {
            self.0.gave_way.notify_one();
        }
        gives_way
    }

    /// Resolves when the connection is to be looked at because it gives way.
    pub(super) async fn gave_way(&self) {
        self.0.gave_way.notified().await;
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn is_over(&self) -> bool {
        self.with(|state| state.gives_way && state.idle_since().is_some())
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.with(|state| matches!(state.phase, Phase::Upgraded))
    }
}

impl State {
    /// Since when nothing is asked, and how long that must last to count.
    fn idle_since(&self) -> Option<(Instant, Duration)> {
        match self.phase {
            Phase::Accepted { since } | Phase::Idle { since } => Some((since, LEAST_IDLE)),
            Phase::Header { since } => Some((since, SLOW_HEADER)),
            Phase::Busy | Phase::Rest | Phase::Closing | Phase::Upgraded => None,
        }
    }
}
