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
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::exchange::Exchange;
use super::{Deadlines, Open};

/// How long what still comes is read after the last answer, however steadily it comes.
const MAX_LINGER: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct DeadlineStream<S> {
    stream: S,
    exchange: Exchange,
    deadlines: Deadlines,
    silence: Timer,
    write: Timer,
    linger: Timer,
    linger_in_all: Timer,
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
        if this.exchange.is_over() {
            return Poll::Ready(Ok(()));
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
