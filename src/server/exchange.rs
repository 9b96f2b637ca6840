//! What a connection is doing, shared by its stream and its service.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::Deadlines;

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
pub(super) struct Exchange(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    after: After,
    requests: u64,
}

impl Exchange {
    pub(super) fn accepted() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Accepted {
                since: Instant::now(),
            },
            after: After::NextRequest,
            requests: 0,
        })))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A header is complete. Gives the number of the request.
    pub(super) fn begin(&self) -> u64 {
        self.with(|state| {
            state.phase = Phase::Busy;
            state.requests += 1;
            state.requests
        })
    }

    /// The head of the answer is there.
    pub(super) fn answered(&self, after: After) {
        self.with(|state| state.after = after);
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
            if state.requests != request {
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

    pub(super) fn is_upgraded(&self) -> bool {
        self.with(|state| matches!(state.phase, Phase::Upgraded))
    }
}
