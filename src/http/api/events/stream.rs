//! The feed as server-sent events, for as long as the client reads and the service may.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::ready;
use futures_util::stream::{self, Stream, StreamExt};

use super::place_text;
use super::wire::EventBody;
use crate::entropy::random_bytes;
use crate::gateway::feed::{PLACE_INTERVAL, Subscription, Told};
use crate::http::error::ApiError;
use crate::http::state::Draining;

/// A client that lost its stream asks again after this long, and up to two seconds more: not all at once.
const RETRY: Duration = Duration::from_secs(1);
/// Tells nginx not to hold back what is sent.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn answer(subscription: Subscription, draining: Draining) -> Result<Response, ApiError> {
    let [jitter] = *random_bytes().map_err(ApiError::internal)?;
    let retry = RETRY + 8 * Duration::from_millis(jitter.into());
    let first = Ok(Frame::default().retry(retry));
    let frames = stream::once(ready(first)).chain(frames(subscription, draining));
    let keep_alive = KeepAlive::new().interval(PLACE_INTERVAL);
    let answer = Sse::new(frames).keep_alive(keep_alive);
    let unbuffered = (ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(([unbuffered], answer).into_response())
}

fn frames(
    subscription: Subscription,
    draining: Draining,
) -> impl Stream<Item = Result<Frame, serde_json::Error>> {
    stream::unfold(subscription, move |mut subscription| {
        let draining = draining.clone();
        async move {
            let told = tokio::select! {
                biased;
                () = draining.begun() => None,
                told = subscription.next() => told,
            };
            let frames = told?.into_iter().map(frame);
            Some((stream::iter(frames), subscription))
        }
    })
    .flatten()
}

fn frame(told: Told) -> Result<Frame, serde_json::Error> {
    let (event, place) = match told {
        Told::Event(event, place) => (event, place),
        Told::Moved(place) => return Ok(Frame::default().id(place_text(&place))),
    };
    let kind = event.fact.change.event_type();
    let frame = Frame::default().event(kind.as_str()).id(place_text(&place));
    let body = serde_json::to_string(&EventBody::from(*event))?;
    Ok(frame.data(body))
}
