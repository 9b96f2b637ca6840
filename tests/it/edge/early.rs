//! Answers that come before their request was read: the connection goes on, or the answer says that it does not, and
//! reaches its client whole.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use session_gateway::http::app::app;
use session_gateway::server::{Deadlines, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{EdgeServer, patiently, settings};
use crate::support::{ADMIN_SECRET, TestApp, open};

/// A client that keeps its connection until an answer says that it ends, as libraries do.
struct Pooled<'a> {
    server: &'a EdgeServer,
    kept: Option<TcpStream>,
    connections: usize,
}

struct Told {
    status: u16,
    closes: bool,
}

impl<'a> Pooled<'a> {
    fn of(server: &'a EdgeServer) -> Self {
        Self {
            server,
            kept: None,
            connections: 0,
        }
    }

    /// Sends a head, then a body; an error of any kind is a connection that closed without a word.
    async fn call(&mut self, head: &str, body: &[u8]) -> std::io::Result<Told> {
        let mut connection = if let Some(kept) = self.kept.take() {
            kept
        } else {
            self.connections += 1;
            self.server.connect().await.0
        };
        connection.set_nodelay(true)?;
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(body).await?;
        let told = patiently(read_answer(&mut connection)).await?;
        if !told.closes {
            self.kept = Some(connection);
        }
        Ok(told)
    }
}

async fn read_answer(connection: &mut TcpStream) -> std::io::Result<Told> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let value = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let length = value("content-length").map_or(0, |length| length.parse().unwrap());
    connection.read_exact(&mut vec![0; length]).await?;
    Ok(Told {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        closes: value("connection") == Some("close"),
    })
}

fn basic(service_id: &str, secret: &str) -> String {
    let pair = STANDARD.encode(format!("{service_id}:{secret}"));
    format!("authorization: Basic {pair}\r\n")
}

const JSON: &str = "content-type: application/json\r\n";

/// With the deadlines of the real one.
async fn server_of(app_of_test: &TestApp) -> EdgeServer {
    let patient = ServerSettings {
        deadlines: Deadlines::default(),
        ..settings()
    };
    EdgeServer::start(app(app_of_test.state.clone()), patient).await
}

#[tokio::test]
async fn no_early_answer_ends_a_connection_without_a_word() {
    let gateway = TestApp::new();
    let session = open(&gateway.admin(), json!({"login_id": "ana"})).await;
    let reader =
        json!({"service_id": "reader", "service_name": "r", "permissions": ["session.read"]});
    let made = gateway.admin().post("/v1/services").json(&reader).await;
    let secret = made.value(201)["secret"].as_str().unwrap().to_owned();
    let admin = basic("admin", ADMIN_SECRET);
    let path = session.path();
    let kinds = [
        ("POST", "/v1/sessions", JSON.to_owned(), 401),
        ("POST", "/v1/sessions", basic("reader", &secret) + JSON, 403),
        ("POST", "/v1/nowhere", JSON.to_owned(), 404),
        ("PUT", "/livez", JSON.to_owned(), 405),
        (
            "POST",
            "/v1/sessions",
            admin.clone() + "content-type: text/plain\r\n",
            415,
        ),
        (
            "PATCH",
            path.as_str(),
            admin.clone() + JSON + "if-match: junk\r\n",
            400,
        ),
        ("POST", "/v1/sessions?unknown=1", admin.clone() + JSON, 400),
        ("GET", "/v1/whoami", admin.clone() + JSON, 200),
    ];
    let server = server_of(&gateway).await;
    for (method, path, headers, status) in &kinds {
        let mut pooled = Pooled::of(&server);
        let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{headers}");
        for turn in 0..75 {
            let body = vec![b' '; [1, 3_000, 100_000][turn % 3]];
            let length = body.len();
            let told = if turn % 5 == 0 {
                let head = format!("{head}transfer-encoding: chunked\r\n\r\n");
                let body = [
                    format!("{length:x}\r\n").as_bytes(),
                    &body,
                    b"\r\n0\r\n\r\n",
                ]
                .concat();
                pooled.call(&head, &body).await
            } else {
                let head = format!("{head}content-length: {length}\r\n\r\n");
                pooled.call(&head, &body).await
            };
            let place = format!("call {turn} with {length} bytes to {method} {path}");
            let told = told.unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(told.status, *status, "{place}");
            // Of a chunked body nobody knows how much is still to come.
            assert!(!told.closes || turn % 5 == 0, "{place}");
        }
        assert!(pooled.connections <= 1 + 15, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_to_read_past_ends_a_connection_with_a_word() {
    let gateway = TestApp::new();
    let server = server_of(&gateway).await;
    let mut pooled = Pooled::of(&server);
    for (headers, status) in [(basic("admin", ADMIN_SECRET), 413), (String::new(), 401)] {
        for _ in 0..20 {
            let body = vec![b' '; 2 * 1024 * 1024];
            let head = format!(
                "POST /v1/sessions HTTP/1.1\r\nhost: test\r\n{headers}{JSON}content-length: {}\r\n\r\n",
                body.len()
            );
            let told = pooled.call(&head, &body).await.unwrap();
            assert_eq!((told.status, told.closes), (status, true));
        }
    }
}

#[tokio::test]
async fn a_slow_sender_of_a_large_body_still_gets_its_answer() {
    let gateway = TestApp::new();
    let server = server_of(&gateway).await;
    let mut raw = server.connect().await;
    raw.send("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: 16000000\r\n\r\n")
        .await;
    for _ in 0..40 {
        raw.send(vec![b' '; 1024]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn what_is_no_http_is_told_so_however_much_follows() {
    let gateway = TestApp::new();
    let server = server_of(&gateway).await;
    for (head, status) in [
        ("GET / HTTP/1.1\r\n no header\r\n\r\n".to_owned(), "400"),
        ("\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
        (
            format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(200 * 1024)),
            "431",
        ),
    ] {
        let mut raw = server.connect().await;
        raw.send(&head).await;
        raw.send(vec![b'x'; 1024 * 1024]).await;
        let answer = raw.read_to_end().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}

/// What came late is no header of the next request, which has all the time of an idle connection.
#[tokio::test]
async fn after_a_rest_that_came_late_a_connection_is_idle() {
    let gateway = TestApp::new();
    let server = EdgeServer::start(app(gateway.state.clone()), settings()).await;
    let mut raw = server.connect().await;
    raw.send("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\n")
        .await;
    let answer = raw.read_until("unauthenticated").await;
    assert!(!answer.contains("connection: close"), "{answer}");
    raw.send("12").await;
    tokio::time::sleep(2 * settings().deadlines.header).await;
    raw.send("34").await;
    tokio::time::sleep(2 * settings().deadlines.header).await;
    assert!(raw.get("/livez").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_is_told_that_the_connection_ends() {
    let gateway = TestApp::new();
    let server = server_of(&gateway).await;
    let mut raw = server.connect().await;
    raw.send(
        "POST /v1/sessions HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
    )
    .await;
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}
