//! A stream that knows what its connection is doing, and breaks off when the client is silent for too long.
//!
//! hyper has one deadline for everything up to the end of a header, the idle time before it included, and sets a timer
//! for it with every request. Here waiting for a header, reading it and writing have deadlines of their own, and a timer
//! is set anew only when it fires too early.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{Deadlines, Open};

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Waiting for the next request.
    Idle {
        since: Instant,
    },
    Header {
        since: Instant,
    },
    Busy,
    /// Speaking something else than HTTP, which has deadlines of its own for silence.
    Upgraded,
}

/// What an answer leaves behind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answered {
    /// A connection for the next request.
    Fully,
    /// A part of its request that may still be on its way.
    Early,
    /// A connection that no longer speaks HTTP.
    Upgrading,
}

/// The phase of a connection, shared by its stream and its service.
#[derive(Debug, Clone)]
pub(super) struct Exchange(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    answered: Answered,
}

impl Exchange {
    pub(super) fn accepted() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Header {
                since: Instant::now(),
            },
            answered: Answered::Fully,
        })))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn begin(&self) {
        self.with(|state| state.phase = Phase::Busy);
    }

    pub(super) fn answered(&self, answered: Answered) {
        self.with(|state| state.answered = answered);
    }

    /// The answer is with hyper to its last byte.
    pub(super) fn end(&self) {
        let since = Instant::now();
        self.with(|state| {
            state.phase = match state.answered {
                Answered::Fully | Answered::Early => Phase::Idle { since },
                Answered::Upgrading => Phase::Upgraded,
            };
        });
    }

    fn bytes_came(&self) {
        self.with(|state| {
            if matches!(state.phase, Phase::Idle { .. }) {
                state.phase = Phase::Header {
                    since: Instant::now(),
                };
            }
        });
    }

    /// Until when the client may be silent.
    fn silent_until(&self, deadlines: &Deadlines) -> Option<Instant> {
        self.with(|state| match state.phase {
            Phase::Idle { since } => Some(since + deadlines.idle),
            Phase::Header { since } => Some(since + deadlines.header),
            Phase::Busy | Phase::Upgraded => None,
        })
    }

    fn answered_early(&self) -> bool {
        self.with(|state| matches!(state.answered, Answered::Early))
    }

    fn is_upgraded(&self) -> bool {
        self.with(|state| matches!(state.phase, Phase::Upgraded))
    }
}

#[derive(Debug)]
pub(super) struct DeadlineStream<S> {
    stream: S,
    exchange: Exchange,
    deadlines: Deadlines,
    silence: Timer,
    write: Timer,
    linger: Timer,
    draining: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    open: Open,
}

impl<S> DeadlineStream<S> {
    pub(super) fn new(stream: S, exchange: Exchange, deadlines: Deadlines, open: Open) -> Self {
        Self {
            stream,
            exchange,
            deadlines,
            silence: Timer::default(),
            write: Timer::default(),
            linger: Timer::default(),
            draining: None,
            open,
        }
    }

    /// Ready when the server drains and the connection is not hyper's, which is told otherwise.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.exchange.is_upgraded() {
            return Poll::Pending;
        }
        let drain = &self.open.drain;
        self.draining
            .get_or_insert_with(|| Box::pin(drain.clone().cancelled_owned()))
            .as_mut()
            .poll(cx)
    }

    /// Ready when the client was silent for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.exchange.silent_until(&self.deadlines) {
            Some(until) => self.silence.poll_at(cx, until),
            None => Poll::Pending,
        }
    }

    /// A write that made progress stops the clock; one that waits runs it from the last progress.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.write = Timer::default();
            return outcome;
        }
        ready!(self.write.poll_after(cx, self.deadlines.write));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for DeadlineStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.poll_drain(cx).is_ready() {
            // Nothing read is the end.
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buf);
        if outcome.is_ready() {
            this.exchange.bytes_came();
            return outcome;
        }
        ready!(this.poll_silence(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for DeadlineStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // After an answer hyper may not ask for bytes before some have come. The timer makes it ask.
        let _silent = self.poll_silence(cx);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closing a socket over unread bytes makes the kernel reset it, and the client may lose the answer it was about
    /// to read. So what still comes is read and thrown away for a moment (as nginx does: `lingering_close`).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        if !this.exchange.answered_early() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 4096];
        while this
            .linger
            .poll_after(cx, this.deadlines.linger)
            .is_pending()
        {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A timer that costs nothing until it is needed.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll_at(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(cx));
        while sleep.deadline() < deadline {
            sleep.as_mut().reset(deadline);
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }

    /// Counts from the first time it is asked.
    fn poll_after(&mut self, cx: &mut Context<'_>, delay: Duration) -> Poll<()> {
        self.0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(delay)))
            .as_mut()
            .poll(cx)
    }
}
