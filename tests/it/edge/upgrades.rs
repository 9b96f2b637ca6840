//! Connections that a request has upgraded to something else than HTTP.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use session_gateway::server::{Drained, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{EdgeServer, Raw, patiently, settings};

/// Answers with 101 and goes on in another way.
fn upgrading<F>(
    go_on: impl FnOnce(TokioIo<Upgraded>) -> F + Send + Sync + Clone + 'static,
) -> Router
where
    F: Future<Output = ()> + Send,
{
    let handler = async move |mut request: Request| {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move { go_on(TokioIo::new(upgraded.await.unwrap())).await });
        let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    };
    Router::new().route("/upgrade", get(handler))
}

/// Sends everything back in brackets, and a farewell after the last.
async fn echo(mut stream: TokioIo<Upgraded>) {
    let mut piece = [0; 1024];
    loop {
        let length = stream.read(&mut piece).await.unwrap();
        if length == 0 {
            break;
        }
        let echo = [b"[", &piece[..length], b"]"].concat();
        stream.write_all(&echo).await.unwrap();
    }
    stream.write_all(b"farewell").await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Writes for ever, whether anybody reads or not.
async fn pour(mut stream: TokioIo<Upgraded>) {
    while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
}

/// Looks at nothing and never goes.
async fn stay(stream: TokioIo<Upgraded>) {
    std::future::pending::<()>().await;
    drop(stream);
}

async fn upgraded(server: &EdgeServer) -> Raw {
    let mut raw = server.connect().await;
    raw.send("GET /upgrade HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await;
    let answer = raw.read_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    raw
}

fn one_connection() -> ServerSettings {
    ServerSettings {
        max_connections: 1,
        ..settings()
    }
}

/// Whether there is no place for another client.
async fn is_full(server: &EdgeServer) -> bool {
    let answer = server.connect().await.get("/").await;
    answer.starts_with("HTTP/1.1 503")
}

#[tokio::test]
async fn bytes_go_both_ways_and_silence_has_no_deadline_of_http() {
    let mut short = settings();
    let idle = Duration::from_millis(400);
    short.deadlines.idle = idle;
    let server = EdgeServer::start(upgrading(echo), short).await;
    let mut raw = upgraded(&server).await;
    for text in ["one", "two", "three"] {
        raw.send(text).await;
        raw.read_until(&format!("[{text}]")).await;
        tokio::time::sleep(2 * idle).await;
    }
}

#[tokio::test]
async fn what_came_with_the_request_is_not_lost() {
    let server = EdgeServer::start(upgrading(echo), settings()).await;
    let mut raw = server.connect().await;
    raw.send(
        "GET /upgrade HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly",
    )
    .await;
    raw.read_until("[early]").await;
}

#[tokio::test]
async fn an_upgraded_connection_is_told_of_the_drain_and_may_say_farewell() {
    let server = EdgeServer::start(upgrading(echo), settings()).await;
    let mut raw = upgraded(&server).await;
    raw.send("one").await;
    raw.read_until("[one]").await;
    server.shut_down();
    assert_eq!(raw.read_to_end().await, "farewell");
    assert_eq!(server.drained().await, Drained::Whole);
}

#[tokio::test]
async fn an_upgraded_connection_that_stays_is_cut_off_with_the_drain() {
    let hasty = ServerSettings {
        drain_timeout: Duration::from_millis(100),
        ..settings()
    };
    let server = EdgeServer::start(upgrading(stay), hasty).await;
    let _open = upgraded(&server).await;
    server.shut_down();
    assert_eq!(server.drained().await, Drained::CutOff(1));
}

#[tokio::test]
async fn an_upgraded_connection_counts_until_it_is_closed() {
    let server = EdgeServer::start(upgrading(echo), one_connection()).await;
    let raw = upgraded(&server).await;
    assert!(is_full(&server).await);
    drop(raw);
    patiently(async { while is_full(&server).await {} }).await;
    upgraded(&server).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_after_an_upgrade_is_let_go() {
    let server = EdgeServer::start(upgrading(pour), one_connection()).await;
    let _deaf = upgraded(&server).await;
    patiently(async { while is_full(&server).await {} }).await;
}

#[tokio::test]
async fn without_a_wish_for_an_upgrade_the_deadlines_of_http_stay() {
    let mut short = settings();
    short.deadlines.idle = Duration::from_millis(400);
    let routes = Router::new().route("/", get(|| async { StatusCode::SWITCHING_PROTOCOLS }));
    let server = EdgeServer::start(routes, short).await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    raw.read_to_end().await;
}
