//! Several listeners of one server.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use session_gateway::server::{Drained, ServerSettings};
use tokio::net::{UnixListener, UnixStream};

use super::server::{EdgeServer, Raw, settings};

fn says(text: &'static str) -> Router {
    let handler = move |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move {
        format!("{text} to {}.", peer.ip())
    };
    Router::new().route("/", get(handler))
}

/// A server at an address, which says "tcp", and at a path, which says "unix".
struct Both {
    server: EdgeServer,
    directory: tempfile::TempDir,
}

impl Both {
    async fn start(settings: ServerSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
        let beside = vec![(unix.into(), says("unix"))];
        Self {
            server: EdgeServer::start_beside(beside, says("tcp"), settings).await,
            directory,
        }
    }

    async fn connect_unix(&self) -> Raw<UnixStream> {
        let path = self.directory.path().join("socket");
        Raw(UnixStream::connect(path).await.unwrap())
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

#[tokio::test]
async fn each_kind_of_listener_serves_its_own_routes() {
    let both = Both::start(settings()).await;
    for _ in 0..3 {
        let (mut tcp, mut unix) = (both.server.connect().await, both.connect_unix().await);
        tcp.send(REQUEST).await;
        unix.send(REQUEST).await;
        tcp.read_until("tcp to 127.0.0.1.").await;
        unix.read_until("unix to 127.0.0.1.").await;
    }
}

#[tokio::test]
async fn listeners_share_the_bound() {
    let one = ServerSettings {
        max_connections: 1,
        ..settings()
    };
    let both = Both::start(one).await;
    let mut unix = both.connect_unix().await;
    unix.send(REQUEST).await;
    unix.read_until("unix to").await;
    let mut tcp = both.server.connect().await;
    tcp.send(REQUEST).await;
    tcp.read_until("tcp to").await;
    assert_eq!(unix.read_to_end().await, "", "it gives way");
}

#[tokio::test]
async fn listeners_drain_together() {
    let both = Both::start(settings()).await;
    let (mut tcp, mut unix) = (both.server.connect().await, both.connect_unix().await);
    tcp.send(REQUEST).await;
    tcp.read_until("tcp to").await;
    unix.send(REQUEST).await;
    unix.read_until("unix to").await;
    both.server.shut_down();
    unix.read_to_end().await;
    tcp.read_to_end().await;
    assert_eq!(both.server.drained().await, Drained::Whole);
    let path = both.directory.path().join("socket");
    assert!(UnixStream::connect(path).await.is_err(), "still accepted");
}
