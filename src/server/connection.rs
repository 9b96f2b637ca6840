//! One connection: HTTP/1.1 over a stream with deadlines.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tower::ServiceExt;

use super::exchange::{After, Exchange};
use super::io_deadline::DeadlineStream;
use super::listener::Accepted;
use super::request_body::{RequestBody, Rest};
use super::{Deadlines, Open};

/// The most bytes of a head that are buffered. Above the limits that the application tells with a document, so that
/// hyper's bare 431 is left for heads that are far out.
const MAX_HEAD_BUFFER: usize = 128 * 1024;

/// The most headers; many small ones fit into the limit of bytes, and hyper's own 100 would be reached first.
const MAX_HEADERS: usize = 256;

/// Serves the requests of one connection until either side closes it or a request upgrades it; once the server drains,
/// until the request under way is answered.
pub(super) async fn serve(accepted: Accepted, deadlines: Deadlines, open: Open) {
    let Accepted { stream, peer, app } = accepted;
    let drain = open.drain.clone();
    let exchange = Exchange::accepted();
    let stream = DeadlineStream::new(stream, exchange.clone(), deadlines, open);
    let io = TokioIo::new(stream);
    let service = hyper::service::service_fn(move |request| {
        answer(app.clone(), request, peer, exchange.clone())
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn answer(
    app: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    exchange: Exchange,
) -> Result<Response<Answer>, Infallible> {
    let number = exchange.begin();
    let asks_for_upgrade = request.extensions().get::<OnUpgrade>().is_some();
    let (head, body) = request.into_parts();
    let (body, lent) = if body.is_end_stream() {
        (Body::empty(), None)
    } else {
        let (body, lent) = RequestBody::lend(body, &head.headers);
        (Body::new(body), Some(lent))
    };
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = app.oneshot(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && asks_for_upgrade {
        exchange.answered(After::Upgrade);
    } else {
        let rest = match lent {
            Some(lent) => lent.read_past(&exchange, number).await,
            None => Rest::Read,
        };
        match rest {
            Rest::Read => exchange.answered(After::NextRequest),
            Rest::Coming => {}
            Rest::Unread => {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
                exchange.answered(After::Close);
            }
        }
    }
    Ok(response.map(|body| Answer { body, exchange }))
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
