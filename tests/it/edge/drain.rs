use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use session_gateway::server::{Drained, ServerSettings};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::server::{EdgeServer, patiently, settings};

#[derive(Clone, Default)]
struct Slow {
    begun: Arc<Notify>,
    may_end: Arc<Notify>,
}

impl Slow {
    fn routes(&self) -> Router {
        let slow = self.clone();
        let handler = async move || {
            slow.begun.notify_one();
            slow.may_end.notified().await;
            "done at last"
        };
        Router::new().route("/slow", get(handler))
    }
}

async fn refuses_connections(server: &EdgeServer) -> bool {
    for _ in 0..1000 {
        if TcpStream::connect(server.address).await.is_err() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn a_request_under_way_is_answered_and_idle_connections_are_closed() {
    let slow = Slow::default();
    let server = EdgeServer::start(slow.routes(), settings()).await;
    let mut idle = server.connect().await;
    idle.get("/").await;
    let mut busy = server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await;
    patiently(slow.begun.notified()).await;

    server.shut_down();
    assert!(refuses_connections(&server).await);
    idle.read_to_end().await;
    slow.may_end.notify_one();
    let answer = busy.read_to_end().await;
    assert!(answer.contains("done at last"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.drained().await, Drained::Whole);
}

#[tokio::test]
async fn what_takes_longer_than_the_drain_timeout_is_cut_off() {
    let slow = Slow::default();
    let hasty = ServerSettings {
        drain_timeout: Duration::from_millis(100),
        ..settings()
    };
    let server = EdgeServer::start(slow.routes(), hasty).await;
    let mut busy = server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await;
    patiently(slow.begun.notified()).await;
    server.shut_down();
    assert_eq!(server.drained().await, Drained::CutOff(1));
}

#[tokio::test]
async fn until_its_delay_is_over_a_server_that_drains_answers_each_connection_once_more() {
    let patient = ServerSettings {
        drain_delay: Duration::from_secs(2),
        ..settings()
    };
    let server = EdgeServer::start(Router::new(), patient).await;
    let mut kept = Vec::new();
    for _ in 0..8 {
        let mut connection = server.connect().await;
        let answer = connection.get("/").await;
        assert!(!answer.contains("connection: close"), "{answer}");
        kept.push(connection);
    }
    server.shut_down();
    // It hears of it at once, but not before this does.
    patiently(async {
        while !server
            .connect()
            .await
            .get("/")
            .await
            .contains("connection: close")
        {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    for mut connection in kept {
        connection
            .send("GET / HTTP/1.1\r\nhost: test\r\n\r\n")
            .await;
        let answer = connection.read_to_end().await;
        assert!(answer.contains("404 Not Found"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert!(refuses_connections(&server).await);
    assert_eq!(server.drained().await, Drained::Whole);
}

#[tokio::test]
async fn who_is_connected_when_the_port_is_closed_is_answered() {
    for _ in 0..20 {
        let server = EdgeServer::start(Router::new(), settings()).await;
        let (mut waits, mut says) = (server.connect().await, server.connect().await);
        says.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
        server.shut_down();
        waits.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
        for mut connection in [waits, says] {
            let answer = connection.read_to_end().await;
            assert!(answer.contains("404 Not Found"), "{answer:?}");
        }
    }
}
