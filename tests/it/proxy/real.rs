//! Real proxies with the shipped samples: only addresses differ from what an operator gets.

use std::net::SocketAddr;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use session_gateway::http::state::AppState;
use session_gateway::model::network::Networks;
use session_gateway::server::{Deadlines, ServerSettings, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::outage::Losable;
use super::over_losable;
use super::sample::{Addresses, Kind, Wish};
use crate::support::{Answer, Call, Client, TestApp};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// A proxy in front of an app, and the gateway it asks.
pub(super) struct Site {
    pub(super) gateway: TestApp,
    pub(super) store: Arc<Losable>,
    pub(super) address: SocketAddr,
    process: Child,
    directory: TempDir,
    gateway_task: tokio::task::JoinHandle<()>,
}

impl Site {
    /// With the sample as it is.
    pub(super) async fn start(kind: Kind) -> Self {
        Self::with(kind, Wish::Nothing).await
    }

    pub(super) async fn with(kind: Kind, wish: Wish) -> Self {
        let gateway = TestApp::new();
        let trusted = if matches!(wish, Wish::Service(..)) {
            ""
        } else {
            "127.0.0.1"
        };
        let (state, store) = over_losable(&gateway, trusted);
        let (gateway_address, gateway_task) = listen(state).await;
        let addresses = Addresses {
            listen: own_address(),
            gateway: gateway_address,
            app: upstream().await,
        };
        let directory = tempfile::tempdir().unwrap();
        let mut command = kind.command(directory.path(), &addresses, wish);
        let process = command.spawn();
        let process = process.unwrap_or_else(|error| panic!("{kind:?} does not start: {error}"));
        let mut site = Self {
            gateway,
            store,
            address: addresses.listen,
            process,
            directory,
            gateway_task,
        };
        site.wait_until_it_listens().await;
        site
    }

    async fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(self.address).await.is_err() {
            let ended = self.process.try_wait().unwrap().is_some();
            let hopeless = ended || Instant::now() > deadline;
            assert!(!hopeless, "never listens: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the proxy has to say.
    pub(super) fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.directory.path().join(name));
        ["stderr.log", "error.log"]
            .into_iter()
            .filter_map(|name| read(name).ok())
            .collect()
    }

    /// Calls through the proxy.
    pub(super) fn client(&self) -> Client {
        Client::tcp(self.address)
    }

    /// Sends a request, and again as long as it meets 503: a proxy on a busy machine may not get an answer in time, and
    /// must then say so. It may also close a connection just when the request comes.
    pub(super) async fn send(&self, call: Call) -> Answer {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match call.clone().attempt().await {
                Some(answer) if answer.status != 503 => return answer,
                other => assert!(Instant::now() < deadline, "{other:?} {}", self.log()),
            }
        }
    }

    /// The same with bytes, reading until the proxy closes.
    pub(super) async fn send_raw(&self, request: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.exchange(request).await;
            if !answer.contains(" 503 ") || Instant::now() > deadline {
                return answer;
            }
        }
    }

    async fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer));
        read.await.expect("an end of the answer").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The head of the answer to an upgrade; again as long as that is 503.
    pub(super) async fn open_socket(&self, request: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await;
                head.push(byte.expect("an answer").expect("a whole head"));
            }
            let head = String::from_utf8(head).unwrap();
            if !head.contains(" 503 ") || Instant::now() > deadline {
                return head;
            }
        }
    }

    /// Ends the gateway, so that nobody answers the proxy.
    pub(super) fn end_gateway(&self) {
        self.gateway_task.abort();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(super) async fn listen(state: AppState) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = ServerSettings {
        max_connections: 100,
        max_connections_per_address: 100,
        trusted: Networks::default(),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::ZERO,
        deadlines: Deadlines::default(),
    };
    let routes = session_gateway::http::app::app(state);
    let task = tokio::spawn(async move {
        serve(
            [(listener.into(), routes)],
            settings,
            std::future::pending(),
        )
        .await;
    });
    (address, task)
}

/// An address that no other test has, whatever ports of 127.0.0.1 are taken meanwhile.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = std::process::id();
    let network = u8::try_from(process % 254).unwrap() + 1;
    let port = u16::try_from(process / 254 % 20_000).unwrap() + 10_000;
    SocketAddr::from(([127, network, high, low], port))
}

/// An app that tells what it has seen.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(any(tell));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

async fn tell(request: Request) -> axum::response::Response {
    let (head, body) = request.into_parts();
    if head.headers.contains_key("upgrade") {
        return switched(&head.headers);
    }
    let body = body.collect().await.unwrap().to_bytes();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        json!([name.as_str(), value])
    });
    let seen = json!({
        "method": head.method.as_str(),
        "path": head.uri.to_string(),
        "headers": headers.collect::<Vec<_>>(),
        "body_bytes": body.len(),
    });
    seen.to_string().into_response()
}

/// To a WebSocket on which nothing is said.
fn switched(seen: &HeaderMap) -> axum::response::Response {
    let login_id = seen.get("x-auth-login-id");
    let headers = [
        ("connection", HeaderValue::from_static("upgrade")),
        ("upgrade", HeaderValue::from_static("websocket")),
        (
            "sec-websocket-accept",
            HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ),
        (
            "x-seen-login",
            login_id.cloned().unwrap_or(HeaderValue::from_static("")),
        ),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The values that an app has seen under a name, in whatever spelling a framework would take for it.
pub(super) fn seen(app_saw: &Value, name: &str) -> Vec<String> {
    let lines = app_saw["headers"].as_array().unwrap();
    let same = |line: &&Value| {
        let spelling = line[0].as_str().unwrap().to_lowercase().replace('_', "-");
        spelling == name
    };
    let values = lines.iter().filter(same);
    values
        .map(|line| line[1].as_str().unwrap().to_owned())
        .collect()
}
