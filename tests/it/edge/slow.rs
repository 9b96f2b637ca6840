//! Clients that take what is theirs slowly, or send what they want slowly, hold little and not for long.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use session_gateway::server::{Deadlines, ServerSettings, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::server::{EdgeServer, Raw, settings};
use crate::support::Gateway;

/// As long as any client takes for what it is sent.
const PATIENCE: Duration = Duration::from_secs(28);

async fn large() -> Vec<u8> {
    vec![b'x'; 16 * 1024 * 1024]
}

async fn feed() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/event-stream")], large().await)
}

async fn server() -> (EdgeServer, SocketAddr) {
    let patient = ServerSettings {
        deadlines: Deadlines {
            slow: Duration::from_millis(400),
            write: 2 * PATIENCE,
            ..Deadlines::default()
        },
        ..settings()
    };
    let routes = Router::new()
        .route("/", get(large))
        .route("/feed", get(feed));
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let beside = vec![(listener.into(), routes)];
    let server = EdgeServer::start_beside(beside, Router::new(), patient).await;
    (server, address)
}

/// A client that has room for little.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

/// How long a client is served that takes so many bytes, and then waits for so long, again and again; at most
/// [`PATIENCE`].
async fn served_for(address: SocketAddr, path: &str, bytes: usize, pause: Duration) -> Duration {
    let mut client = narrow(address).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut piece = vec![0; bytes];
    while begun.elapsed() < PATIENCE && client.read_exact(&mut piece).await.is_ok() {
        tokio::time::sleep(pause).await;
    }
    begun.elapsed()
}

#[tokio::test]
async fn a_reader_that_takes_next_to_nothing_is_let_go_and_a_slow_one_is_not() {
    let (_server, address) = server().await;
    let tenth = Duration::from_millis(100);
    let (creeping, slow, following) = tokio::join!(
        served_for(address, "/", 64, tenth),
        served_for(address, "/", 2_048, tenth),
        served_for(address, "/feed", 64, tenth),
    );
    assert!(creeping < PATIENCE, "{creeping:?}");
    assert!(slow >= PATIENCE, "{slow:?}");
    assert!(following >= PATIENCE, "{following:?}");
}

#[tokio::test]
async fn an_unfinished_head_holds_little() {
    for kib in [20, 100] {
        let gateway = Gateway::start().await;
        let heads = 400;
        let head = format!(
            "GET / HTTP/1.1\r\nhost: test\r\nx: {}",
            "x".repeat(kib * 1024)
        );
        let mut open = Vec::new();
        let before = gateway.resident_kib();
        for _ in 0..heads {
            let mut raw = Raw(TcpStream::connect(gateway.address()).await.unwrap());
            raw.send(&head).await;
            open.push(raw);
        }
        // Long enough to read them all, and not to wait for the rest in vain.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let each = (gateway.resident_kib() - before) / heads;
        assert!(each <= 24, "{each} KiB of {kib} KiB");
    }
}
