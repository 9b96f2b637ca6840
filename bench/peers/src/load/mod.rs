//! The load generator: raw HTTP/1.1 over kept connections, requests made beforehand, every answer checked.
//!
//! It costs two system calls a request beside the share of a poll, so that the server is the limit and not it.

use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

mod closed;
mod connection;
mod each;
mod open;
mod requests;
mod response;

pub(crate) use closed::as_fast_as_answered;
pub(crate) use each::{call, each};
pub(crate) use open::at_rate;
pub(crate) use requests::Requests;
pub(crate) use response::Response;

use connection::Connection;

/// Connections of a load, spread over its threads.
pub(crate) const CONNECTIONS: usize = 64;

/// After this time without any answer the server counts as dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a load goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) requests: &'a Requests,
    /// What every answer must be.
    pub(crate) good: Answer,
}

/// What tells an answer from another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_starts: &'static str,
}

impl Answer {
    pub(crate) const OK: Self = Self::status(200);

    pub(crate) const fn status(status: u16) -> Self {
        Self {
            status,
            body_starts: "",
        }
    }

    fn is(&self, response: &Response<'_>) -> bool {
        response.status == self.status && response.body.starts_with(self.body_starts.as_bytes())
    }

    #[track_caller]
    pub(crate) fn check(&self, response: &Response<'_>) {
        assert!(self.is(response), "{self:?} was expected, not {response}");
    }
}

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// Answers that said the server is too busy (503). They count nowhere else.
    pub(crate) refused: u64,
    pub(crate) elapsed: Duration,
    nanoseconds: Histogram<u64>,
}

impl Outcome {
    fn new() -> Self {
        Self {
            answered: 0,
            refused: 0,
            elapsed: Duration::ZERO,
            nanoseconds: Histogram::new(3).unwrap(),
        }
    }

    #[track_caller]
    fn note(&mut self, response: &Response<'_>, good: Answer, latency: Duration) {
        if response.status == 503 {
            self.refused += 1;
            return;
        }
        good.check(response);
        self.answered += 1;
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap();
        self.nanoseconds.record(nanoseconds).unwrap();
    }

    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.nanoseconds.add(&other.nanoseconds).unwrap();
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the answers kept within, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        self.nanoseconds.value_at_quantile(share) as f64 / 1e6
    }
}
