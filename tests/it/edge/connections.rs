use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hyper::body::{Body as HttpBody, Frame};
use session_gateway::http::error::ApiError;
use session_gateway::http::extract::read_body;
use session_gateway::server::ServerSettings;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::server::{EdgeServer, patiently, settings};

async fn take(request: Request<Body>) -> Result<String, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await?;
    Ok(format!("{} bytes", body.len()))
}

const SHORT_IDLE: Duration = Duration::from_secs(2);

/// One piece now, the last one after all deadlines.
async fn drip() -> impl IntoResponse {
    let (pieces, stream) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for piece in ["first ", "second ", "last"] {
            let piece = Bytes::from_static(piece.as_bytes());
            if pieces.send(piece).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(800)).await;
        }
    });
    Body::new(Pieces(stream))
}

struct Pieces(Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

async fn tell_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    format!("from {peer}.")
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/peer", get(tell_peer))
        .route("/take", post(take))
        .route("/refuse", post(|| async { StatusCode::UNAUTHORIZED }))
        .route("/drip", get(drip))
        .route("/large", get(|| async { vec![b'x'; 64 * 1024 * 1024] }))
}

async fn server() -> EdgeServer {
    EdgeServer::start(routes(), settings()).await
}

async fn server_with_short_idle_time() -> EdgeServer {
    let mut short = settings();
    short.deadlines.idle = SHORT_IDLE;
    EdgeServer::start(routes(), short).await
}

#[tokio::test]
async fn a_handler_knows_the_address_of_its_client() {
    let server = server().await;
    let mut raw = server.connect().await;
    raw.send("GET /peer HTTP/1.1\r\nhost: test\r\n\r\n").await;
    raw.read_until(&format!("from {}.", raw.address())).await;
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = server().await;
    let mut raw = server.connect().await;
    assert_eq!(raw.read_to_end().await, "");
}

#[tokio::test]
async fn half_a_header_is_not_waited_for() {
    let server = server().await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\nhost: te").await;
    assert_eq!(raw.read_to_end().await, "");
}

#[tokio::test]
async fn a_header_that_drips_has_no_longer_deadline() {
    let server = server().await;
    let mut raw = server.connect().await;
    raw.get("/").await;
    let started = Instant::now();
    raw.send("GET / HTTP/1.1\r\n").await;
    let mut outcome = Ok(());
    while outcome.is_ok() && started.elapsed() < Duration::from_secs(15) {
        outcome = raw.try_send("x: y\r\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(outcome.is_err(), "still open after {:?}", started.elapsed());
}

#[tokio::test]
async fn an_idle_connection_lives_longer_than_a_header_may_take_and_is_closed_then() {
    let server = server_with_short_idle_time().await;
    let mut raw = server.connect().await;
    raw.get("/").await;
    let idle_since = Instant::now();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(raw.get("/").await.starts_with("HTTP/1.1 200"));
    assert_eq!(raw.read_to_end().await, "");
    assert!(idle_since.elapsed() > SHORT_IDLE);
}

#[tokio::test]
async fn a_connection_that_is_idle_after_a_slow_answer_is_closed_as_well() {
    let server = server_with_short_idle_time().await;
    let mut raw = server.connect().await;
    raw.send("GET /drip HTTP/1.1\r\nhost: test\r\n\r\n").await;
    raw.read_until("0\r\n\r\n").await;
    assert_eq!(raw.read_to_end().await, "");
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_every_deadline_is_sent_whole() {
    let server = server_with_short_idle_time().await;
    let mut raw = server.connect().await;
    raw.send("GET /drip HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let answer = raw.read_until("0\r\n\r\n").await;
    assert!(
        answer.contains("first") && answer.contains("last"),
        "{answer}"
    );
    assert!(raw.get("/").await.starts_with("HTTP/1.1 200"), "kept alive");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let one = ServerSettings {
        max_connections: 1,
        ..settings()
    };
    let server = EdgeServer::start(routes(), one).await;
    let mut deaf = server.connect().await;
    deaf.send("GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let answered = async {
        while !server
            .connect()
            .await
            .get("/")
            .await
            .starts_with("HTTP/1.1 200")
        {}
    };
    patiently(answered).await;
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let mut patient = settings();
    patient.deadlines.linger = Duration::from_secs(10);
    let server = EdgeServer::start(routes(), patient).await;
    for path in ["/take", "/refuse"] {
        let mut raw = server.connect().await;
        let length = 16 * 1024 * 1024;
        raw.send(format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n"
        ))
        .await;
        raw.send(vec![b'x'; length]).await;
        let answer = raw.read_to_end().await;
        let status = if path == "/take" { "413" } else { "401" };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_body_without_length_is_cut_at_the_limit() {
    let server = server().await;
    let mut raw = server.connect().await;
    raw.send("POST /take HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let piece = format!("{:x}\r\n{}\r\n", 32 * 1024, "x".repeat(32 * 1024));
    for _ in 0..9 {
        raw.send(&piece).await;
    }
    raw.send("0\r\n\r\n").await;
    let answer = raw.read_until("payload_too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn odd_bytes_in_the_target_never_make_a_5xx() {
    let server = server().await;
    let targets: [&[u8]; 14] = [
        b"/%2F",
        b"/%00",
        b"/%0d%0a",
        b"/..%2f..",
        b"/%252F",
        b"/%ff",
        b"/\xff\xfe",
        b"//",
        b"*",
        b"/%E2%80%AE",
        b"/a%",
        b"http://else.where/path",
        b"/?\xc3\x28",
        b"/{}|\\^`",
    ];
    for method in ["GET", "OPTIONS", "CONNECT"] {
        for target in targets {
            let mut raw = server.connect().await;
            raw.send([method.as_bytes(), b" ", target].concat()).await;
            raw.send(" HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
                .await;
            let answer = raw.read_to_end().await;
            let shown = String::from_utf8_lossy(target);
            assert!(
                answer.starts_with("HTTP/1.1 4"),
                "{method} {shown}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_head_over_the_limits_has_its_answer_on_the_wire_too() {
    let server = server().await;
    let large = "x".repeat(20 * 1024);
    for (head, status) in [
        (format!("GET /{large} HTTP/1.1\r\n\r\n"), "414"),
        (format!("GET / HTTP/1.1\r\nx: {large}\r\n\r\n"), "431"),
        (
            format!(
                "GET / HTTP/1.1\r\nhost: test\r\n{}\r\n",
                "x: y\r\n".repeat(200)
            ),
            "200",
        ),
    ] {
        let mut raw = server.connect().await;
        raw.send(head).await;
        let answer = raw.read_until("\r\n\r\n").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_request_is_for_one_host() {
    let server = server().await;
    for (head, status) in [
        ("HTTP/1.1\r\n", 400),
        ("HTTP/1.1\r\nhost: one\r\nhost: one\r\n", 400),
        ("HTTP/1.0\r\nhost: one\r\nhost: two\r\n", 400),
        ("HTTP/1.1\r\nhost: one\r\n", 200),
        ("HTTP/1.1\r\nhost:\r\n", 200),
        ("HTTP/1.0\r\n", 200),
    ] {
        let mut raw = server.connect().await;
        raw.send(format!("GET / {head}connection: close\r\n\r\n"))
            .await;
        let answer = raw.read_to_end().await;
        let (_version, told) = answer.split_once(' ').unwrap();
        assert!(told.starts_with(&status.to_string()), "{head}: {answer}");
        assert_eq!(
            answer.contains("invalid_request"),
            status == 400,
            "{answer}"
        );
    }
}
