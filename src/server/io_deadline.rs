//! A stream that knows what its connection is doing, and breaks off when the client is silent for too long.
//!
//! hyper has one deadline for everything up to the end of a header, the idle time before it included, and sets a timer
//! for it with every request. Here waiting for a header, reading it and writing have deadlines of their own, and a timer
//! is set anew only when it fires too early.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::either::Either;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::exchange::Exchange;
use super::listener::{SEND_BUFFER, Stream};
use super::{Deadlines, Open};

/// How long what still comes is read after the last answer, however steadily it comes.
const MAX_LINGER: Duration = Duration::from_secs(30);

/// What a client may have taken of an answer before it is known here: the system tells when a third of its buffer is
/// free again.
const UNTOLD: u32 = SEND_BUFFER / 2;

#[derive(Debug)]
pub(super) struct DeadlineStream {
    stream: Stream,
    exchange: Exchange,
    deadlines: Deadlines,
    silence: Timer,
    write: Timer,
    pace: Timer,
    waiting: Option<Waiting>,
    linger: Timer,
    linger_in_all: Timer,
    draining: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    open: Open,
}

impl DeadlineStream {
    pub(super) fn new(
        stream: Stream,
        exchange: Exchange,
        deadlines: Deadlines,
        open: Open,
    ) -> Self {
        Self {
            stream,
            exchange,
            deadlines,
            silence: Timer::default(),
            write: Timer::default(),
            pace: Timer::default(),
            waiting: None,
            linger: Timer::default(),
            linger_in_all: Timer::default(),
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
        if let Poll::Ready(written) = outcome {
            self.write = Timer::default();
            if let (Some(waiting), Ok(bytes)) = (&mut self.waiting, &written) {
                waiting.taken += *bytes;
            }
            return Poll::Ready(written);
        }
        if self.write.poll_after(cx, self.deadlines.write).is_pending() {
            ready!(self.poll_pace(cx));
        }
        if let Either::Left(stream) = &self.stream {
            // Else the system would go on to send what it has, for as long as the client likes.
            stream.set_zero_linger()?;
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Ready when bytes wait, and the client has taken those before them too slowly.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.exchange.has_pace() {
            return Poll::Pending;
        }
        let waiting = self.waiting.get_or_insert_with(Waiting::begin);
        let until = waiting.until(self.deadlines.slow);
        self.pace.poll_at(cx, until)
    }
}

impl AsyncRead for DeadlineStream {
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
        if this.exchange.is_over() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_silence(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for DeadlineStream {
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
        // hyper flushes what it has written to the last byte.
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closing a socket over unread bytes makes the kernel reset it, and the client may lose the answer it was about
    /// to read. So what still comes is read and thrown away for a while (as nginx does: `lingering_close`).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        let awaits_bytes = this.exchange.leaves_bytes_unread();
        let mut scratch = [0; 4096];
        while this.linger_in_all.poll_after(cx, MAX_LINGER).is_pending() {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => this.linger = Timer::default(),
                Poll::Ready(_closed) => break,
                Poll::Pending if awaits_bytes => {
                    ready!(this.linger.poll_after(cx, this.deadlines.linger));
                    break;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// How long bytes of an answer have been waiting, and what was taken meanwhile.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    taken: usize,
}

impl Waiting {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            taken: 0,
        }
    }

    /// How long the client has for the next bytes, if it may take them at any pace for so long.
    fn until(&self, slow: Duration) -> Instant {
        let taken = u32::try_from(self.taken).unwrap_or(u32::MAX);
        let paid = Duration::from_secs(1) * taken.saturating_add(UNTOLD) / Deadlines::LEAST_RATE;
        self.since + paid.max(slow)
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
