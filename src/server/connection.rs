//! One connection: HTTP/1.1 over a stream with deadlines.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::admission::Place;
use super::exchange::{After, Exchange};
use super::io_deadline::DeadlineStream;
use super::listener::Accepted;
use super::request_body::{RequestBody, Rest, read_past};
use super::{Deadlines, Open};
use crate::http::auth::{Proof, is_of_admin};
use crate::http::middleware::{MAX_HEADER_BYTES, MAX_URI_BYTES, Unplaced, is_open_to_all};

/// The most bytes of a head that are buffered: what the application's limits of the target and of the headers come to.
/// Above it hyper answers a bare 431.
const MAX_HEAD_BUFFER: usize = MAX_URI_BYTES + MAX_HEADER_BYTES;

/// The most headers; many small ones fit into the limit of bytes, and hyper's own 100 would be reached first.
const MAX_HEADERS: usize = 256;

/// How long a connection is still read from when the server drains: what was sent before its client could know.
const LAST_REQUEST: Duration = Duration::from_millis(100);

/// The type of an answer that goes on for as long as something happens.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Serves the requests of one connection until either side closes it or a request upgrades it; once the server drains,
/// until the request under way is answered; when it gives way to another, until none is under way.
pub(super) async fn serve(
    accepted: Accepted,
    deadlines: Deadlines,
    exchange: Exchange,
    open: Open,
) {
    let Accepted { stream, peer, app } = accepted;
    let drain = open.drain.clone();
    let leaving = open.leaving.clone();
    let served = Arc::new(Served {
        app,
        peer,
        exchange: exchange.clone(),
        place: Arc::clone(&open.place),
        leaving,
        proof: Proof::default(),
    });
    let stream = DeadlineStream::new(stream, exchange.clone(), deadlines, open);
    let service = hyper::service::service_fn(move |request| Arc::clone(&served).answer(request));
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let outcome = loop {
        tokio::select! {
            outcome = connection.as_mut() => break outcome,
            () = drain.cancelled() => {
                // A request that is on its way is still answered.
                if let Ok(outcome) = timeout(LAST_REQUEST, connection.as_mut()).await {
                    break outcome;
                }
                connection.as_mut().graceful_shutdown();
                break connection.await;
            }
            // It is looked at once more, and reads its end.
            () = exchange.gave_way() => {}
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// What the requests of one connection share.
struct Served {
    app: Router,
    peer: SocketAddr,
    exchange: Exchange,
    place: Arc<Place>,
    leaving: CancellationToken,
    proof: Proof,
}

impl Served {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        let begun = self.exchange.begin();
        let asks_for_upgrade = request.extensions().get::<OnUpgrade>().is_some();
        let (head, body) = request.into_parts();
        let (body, lent) = if body.is_end_stream() {
            (Body::empty(), None)
        } else {
            let (body, lent) = RequestBody::lend(body, &head.headers);
            (Body::new(body), Some(lent))
        };
        let (response, is_placed) = self.ask(Request::from_parts(head, body)).await?;
        let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS && asks_for_upgrade;
        let rest = match lent {
            Some(lent) => lent.come_back().await,
            None => Rest::Read,
        };
        let after = match &rest {
            _ if upgrades => After::Upgrade,
            _ if begun.is_last || !is_placed || self.leaving.is_cancelled() => After::Close,
            Rest::Read => After::NextRequest,
            Rest::Coming(_) => After::Rest,
            Rest::Unread => After::Close,
        };
        let response = self.finish(response, after);
        if let Rest::Coming(rest) = rest {
            tokio::spawn(read_past(rest, self.exchange.clone(), begun.number));
        }
        Ok(response)
    }

    fn finish(&self, mut response: Response<Body>, after: After) -> Response<Answer> {
        let headers = response.headers_mut();
        if matches!(after, After::Close) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let kind = headers.get(header::CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(EVENT_STREAM));
        self.exchange.answered(after, is_stream);
        let exchange = self.exchange.clone();
        response.map(|body| Answer { body, exchange })
    }

    /// What the application answers, and whether the connection has a place.
    async fn ask(&self, mut request: Request<Body>) -> Result<(Response<Body>, bool), Infallible> {
        let is_placed = is_open_to_all(request.uri().path()) || self.place.claim().await;
        // Whoever fills all places, those who run the gateway can still do something about it.
        let is_served = is_placed || is_of_admin(&request);
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(self.peer));
        if !is_served {
            extensions.insert(Unplaced);
        }
        if self.place.is_stranger() {
            extensions.insert(self.proof.clone());
        }
        let response = self.app.clone().oneshot(request).await?;
        if self.place.is_stranger() && self.proof.is_given() {
            self.place.recognise();
        }
        Ok((response, is_placed))
    }
}

/// The body of an answer; when it is gone, the connection is idle or upgraded.
struct Answer {
    body: Body,
    exchange: Exchange,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.exchange.end();
    }
}
