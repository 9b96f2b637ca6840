//! The feed as server-sent events, for as long as the client reads and the service may.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::ready;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::time::{Instant, sleep};

use super::place_text;
use super::wire::EventBody;
use crate::draw::random_bytes;
use crate::http::auth::Admission;
use crate::http::error::ApiError;
use crate::http::state::Draining;
use crate::store::OpError;
use crate::store::follow::{Follower, Placed};
use crate::telemetry::log::with_causes;

/// After this long without an event something is sent, so that both sides know that the other is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long it may take at most until a service that may no longer read is cut off; it gets no event before.
const JUDGED: Duration = Duration::from_secs(1);
/// A client that lost its stream asks again after this long, and up to two seconds more: not all at once.
const RETRY: Duration = Duration::from_secs(1);
/// Tells nginx not to hold back what is sent.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers with all that happens.
pub(super) fn answer(
    follower: Follower,
    admission: Admission,
    draining: Draining,
) -> Result<Response, ApiError> {
    let [jitter] = *random_bytes()?;
    let retry = RETRY + 8 * Duration::from_millis(jitter.into());
    let first = Ok(Frame::default().retry(retry));
    let following = Following {
        follower,
        admission,
        draining,
        told_at: None,
        is_failing: false,
    };
    let frames = stream::once(ready(first)).chain(following.frames());
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let answer = Sse::new(frames).keep_alive(keep_alive);
    let unbuffered = (ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(([unbuffered], answer).into_response())
}

type Frames = Vec<Result<Frame, serde_json::Error>>;

/// One stream.
struct Following {
    follower: Follower,
    admission: Admission,
    draining: Draining,
    /// When the client was last given a place.
    told_at: Option<Instant>,
    is_failing: bool,
}

impl Following {
    fn frames(self) -> impl Stream<Item = Result<Frame, serde_json::Error>> {
        stream::unfold(self, |mut following| async move {
            let draining = following.draining.clone();
            let frames = tokio::select! {
                biased;
                () = draining.begun() => None,
                frames = following.turn() => frames,
            };
            frames.map(|frames| (stream::iter(frames), following))
        })
        .flatten()
    }

    /// The next frames; none at the end.
    async fn turn(&mut self) -> Option<Frames> {
        loop {
            let step = match self.follower.next(JUDGED).await {
                Ok(step) => step,
                Err(OpError::Refused(refusal)) => {
                    tracing::debug!(%refusal, "a stream of events ends");
                    return None;
                }
                Err(OpError::Store(error)) => {
                    self.complain(&error.into());
                    Vec::new()
                }
            };
            if !self.may_go_on(step.is_empty()).await {
                return None;
            }
            if !step.is_empty() {
                self.told_at = Some(Instant::now());
                return Some(step.into_iter().map(frame).collect());
            }
            let is_due = self.told_at.is_none_or(|at| at.elapsed() >= KEEP_ALIVE);
            if is_due && self.follower.has_moved() {
                self.told_at = Some(Instant::now());
                let place = Frame::default().id(place_text(&self.follower.place()));
                return Some(vec![Ok(place)]);
            }
        }
    }

    /// Whether the service may still read. While nobody knows it gets nothing.
    async fn may_go_on(&mut self, has_nothing: bool) -> bool {
        loop {
            match self.admission.holds().await {
                Ok(holds) => {
                    self.is_failing &= has_nothing;
                    return holds;
                }
                Err(error) => self.complain(&error),
            }
            if has_nothing {
                return true;
            }
            sleep(JUDGED).await;
        }
    }

    /// Once, until something is told again.
    fn complain(&mut self, error: &ApiError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let error = with_causes(error);
            tracing::warn!(error, "a stream of events is held up; trying on");
        }
    }
}

fn frame(placed: Placed) -> Result<Frame, serde_json::Error> {
    let kind = placed.event.fact.change.event_type();
    let frame = Frame::default()
        .event(kind.as_str())
        .id(place_text(&placed.place));
    let body = serde_json::to_string(&EventBody::from(placed.event))?;
    Ok(frame.data(body))
}
