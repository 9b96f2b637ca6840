//! More clients than there are places: who is served, who gives way, and what is told to whom there is no place for.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::json;
use session_gateway::http::app::app;
use session_gateway::model::network::Networks;
use session_gateway::server::{Deadlines, ServerSettings};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::server::{EdgeServer, Raw, patiently, settings};
use crate::support::{ADMIN_SECRET, TestApp};

/// Longer than a connection must be idle to give way.
const A_MOMENT: Duration = Duration::from_millis(100);

fn places(max_connections: usize) -> ServerSettings {
    ServerSettings {
        max_connections,
        max_connections_per_address: 10 * max_connections,
        deadlines: Deadlines::default(),
        ..settings()
    }
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/livez", get(|| async { "alive" }))
}

/// A connection that nobody asks anything on for a while.
async fn idle(server: &EdgeServer) -> Raw {
    let mut raw = server.connect().await;
    assert_served(&raw.get("/").await);
    tokio::time::sleep(A_MOMENT).await;
    raw
}

#[track_caller]
fn assert_served(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn is_open(raw: &mut Raw) -> bool {
    raw.try_send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .await
        .is_ok()
        && raw.read_to_end().await.starts_with("HTTP/1.1 200")
}

#[tokio::test]
async fn the_longest_idle_gives_way() {
    let server = EdgeServer::start(routes(), places(3)).await;
    let mut first = idle(&server).await;
    let mut second = idle(&server).await;
    let mut third = idle(&server).await;
    assert_served(&first.get("/").await);
    tokio::time::sleep(A_MOMENT).await;
    let mut fourth = server.connect().await;
    assert_served(&fourth.get("/").await);
    assert_eq!(
        second.read_to_end().await,
        "",
        "closed without an answer to nothing"
    );
    for open in [&mut first, &mut third, &mut fourth] {
        assert!(is_open(open).await);
    }
}

#[tokio::test]
async fn who_only_connects_takes_no_place_of_others() {
    let server = EdgeServer::start(routes(), places(10)).await;
    let mut first = idle(&server).await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(server.connect().await);
    }
    tokio::time::sleep(A_MOMENT).await;
    assert!(is_open(&mut first).await);
}

#[tokio::test]
async fn who_asks_how_the_gateway_is_takes_no_place_either() {
    let server = EdgeServer::start(routes(), places(1)).await;
    let mut first = idle(&server).await;
    let mut health = server.connect().await;
    for _ in 0..3 {
        assert_served(&health.get("/livez").await);
    }
    assert!(is_open(&mut first).await);
}

#[tokio::test]
async fn while_nobody_is_idle_only_health_is_told() {
    let (begun, may_end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&may_end));
    let slow = async move || {
        begins.notify_one();
        ends.notified().await;
    };
    let server = EdgeServer::start(routes().route("/slow", get(slow)), places(1)).await;
    let mut busy = server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await;
    patiently(begun.notified()).await;
    let mut other = server.connect().await;
    assert_served(&other.get("/livez").await);
    other.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let answer = other.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    for told in ["\"overloaded\"", "connection: close\r\n", "retry-after: "] {
        assert!(answer.contains(told), "{answer}");
    }
    may_end.notify_one();
    assert_served(&busy.read_until("\r\n\r\n").await);
    tokio::time::sleep(A_MOMENT).await;
    assert_served(&server.connect().await.get("/").await);
}

#[tokio::test]
async fn a_crowd_of_idle_sockets_keeps_nobody_waiting() {
    let server = EdgeServer::start(routes(), places(200)).await;
    let mut crowd = Vec::new();
    for _ in 0..240 {
        crowd.push(server.connect().await);
    }
    for _ in 0..5 {
        let begun = Instant::now();
        assert_served(&server.connect().await.get("/").await);
        // A tenth of it on a machine that does nothing else.
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn strangers_of_one_address_give_way_to_each_other() {
    let two_each = ServerSettings {
        max_connections_per_address: 2,
        ..places(100)
    };
    let server = EdgeServer::start(routes(), two_each).await;
    let mut neighbour = server.connect_from([127, 0, 0, 2]).await;
    assert_served(&neighbour.get("/").await);
    tokio::time::sleep(A_MOMENT).await;
    let mut first = idle(&server).await;
    let mut second = idle(&server).await;
    let mut third = idle(&server).await;
    assert_eq!(first.read_to_end().await, "");
    for open in [&mut neighbour, &mut second, &mut third] {
        assert!(is_open(open).await);
    }
}

async fn connections_stay(settings: ServerSettings, headers: &str) -> bool {
    let gateway = TestApp::new();
    let server = EdgeServer::start(app(gateway.state.clone()), settings).await;
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut raw = server.connect().await;
        raw.send(format!(
            "GET /v1/whoami HTTP/1.1\r\nhost: test\r\n{headers}\r\n"
        ))
        .await;
        raw.read_until("\r\n\r\n").await;
        tokio::time::sleep(A_MOMENT).await;
        all.push(raw);
    }
    for raw in &mut all {
        let asked = raw.try_send("GET /livez HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        if asked.await.is_err() || !raw.read_to_end().await.contains("alive") {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn services_and_trusted_proxies_are_no_strangers() {
    let two_each = ServerSettings {
        max_connections_per_address: 2,
        ..places(100)
    };
    let admin = format!("x-service-id: admin\r\nx-service-secret: {ADMIN_SECRET}\r\n");
    assert!(connections_stay(two_each.clone(), &admin).await);
    assert!(!connections_stay(two_each.clone(), &admin.replace("test", "not")).await);
    let trusting = ServerSettings {
        trusted: Networks::parse("127.0.0.0/8").unwrap(),
        ..two_each
    };
    assert!(connections_stay(trusting, "").await);
}

#[tokio::test]
async fn on_a_connection_too_many_admin_is_served_and_nobody_else() {
    let gateway = TestApp::new();
    let register = json!({"service_id": "other", "service_name": "Other", "secret": ADMIN_SECRET,
        "permissions": []});
    let admin = gateway.admin();
    let other = admin.post("/v1/services").json(&register);
    other.await.expect(201);
    let server = EdgeServer::start(app(gateway.state.clone()), places(2)).await;
    let asks = async |service_id: &str, secret: &str, path: &str| {
        let mut raw = server.connect().await;
        raw.send(format!(
            "GET {path} HTTP/1.1\r\nhost: test\r\nx-service-id: {service_id}\r\n\
             x-service-secret: {secret}\r\naccept: text/event-stream\r\n\r\n"
        ))
        .await;
        raw
    };
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = asks("admin", ADMIN_SECRET, "/v1/events").await;
        assert_served(&stream.read_until("\r\n\r\n").await);
        streams.push(stream);
    }
    for (service_id, secret, status) in [
        ("admin", ADMIN_SECRET, "200"),
        ("admin", "not the secret of admin", "401"),
        ("other", ADMIN_SECRET, "503"),
    ] {
        let mut raw = asks(service_id, secret, "/v1/whoami").await;
        let answer = raw.read_to_end().await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{service_id}: {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}
