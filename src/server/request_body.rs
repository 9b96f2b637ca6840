//! The body of a request that was answered before it was read to the end.
//!
//! Closing a connection over unread bytes makes the kernel reset it, and the client may lose its answer; a client that
//! keeps its connections meets the end of this one with its next request. So the rest is read past, or the answer says
//! `Connection: close`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::exchange::Exchange;

/// The most bytes that are read past: as many as a request may have that is not answered early.
const MAX_REST: usize = 256 * 1024;

/// How long a rest of a known length may take. The answer does not wait for it.
const REST_DEADLINE: Duration = Duration::from_secs(10);

/// How long an answer waits for a rest of which nobody knows how long it is: for what is there, or in flight nearby.
const PATIENCE: Duration = Duration::from_millis(100);

/// A body that comes back here when its reader stops before the end.
pub(super) struct RequestBody {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Left>>,
}

/// What a reader leaves.
enum Left {
    Rest(Incoming),
    /// It broke off, or is no HTTP.
    Nothing,
}

/// How much of a request is still to be read when its answer is there.
pub(super) enum Rest {
    Read,
    /// Little enough to be read beside the answer.
    Coming(Incoming),
    /// Too much, or nobody knows how much.
    Unread,
}

/// Where the rest of a body comes back.
pub(super) struct Lent {
    back: oneshot::Receiver<Left>,
    waits_to_be_asked: bool,
}

impl RequestBody {
    pub(super) fn lend(body: Incoming, headers: &HeaderMap) -> (Self, Lent) {
        let (sender, back) = oneshot::channel();
        let lent = Lent {
            back,
            waits_to_be_asked: headers.contains_key(header::EXPECT),
        };
        let body = Self {
            body: Some(body),
            back: Some(sender),
        };
        (body, lent)
    }

    fn give_back(&mut self, left: Left) {
        if let Some(back) = self.back.take() {
            // Nobody waits for it when the connection is gone.
            drop(back.send(left));
        }
    }
}

impl Lent {
    /// What the reader has left, or what is left of that after a moment. Who waits to be asked for a body is not asked:
    /// the final answer tells it not to send one (RFC 9110, section 10.1.1).
    pub(super) async fn come_back(mut self) -> Rest {
        let mut rest = match self.back.try_recv() {
            Ok(Left::Rest(rest)) if !self.waits_to_be_asked => rest,
            Ok(Left::Rest(_) | Left::Nothing) | Err(TryRecvError::Empty) => return Rest::Unread,
            Err(TryRecvError::Closed) => return Rest::Read,
        };
        if let Some(length) = rest.size_hint().exact() {
            let is_short = usize::try_from(length).is_ok_and(|length| length <= MAX_REST);
            return if is_short {
                Rest::Coming(rest)
            } else {
                Rest::Unread
            };
        }
        let read = Limited::new(&mut rest, MAX_REST).collect();
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(_read)) => Rest::Read,
            Ok(Err(_)) | Err(_) => Rest::Unread,
        }
    }
}

/// Reads the rest of a request beside its answer, within its time.
pub(super) async fn read_past(mut rest: Incoming, exchange: Exchange, request: u64) {
    let read = async { while let Some(Ok(_piece)) = rest.frame().await {} };
    if tokio::time::timeout(REST_DEADLINE, read).await.is_ok() {
        exchange.rest_is_read(request);
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.give_back(Left::Nothing),
            None => self.body = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.give_back(Left::Rest(body));
        }
    }
}
