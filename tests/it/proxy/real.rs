//! Real proxies with the shipped samples: only addresses differ from what an operator gets.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use session_gateway::server::{Deadlines, ServerSettings, serve};
use session_gateway::state::AppState;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::outage::Losable;
use super::over_losable;
use crate::support::{Client, TestApp};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where everybody is.
struct Addresses {
    listen: SocketAddr,
    gateway: SocketAddr,
    app: SocketAddr,
}

/// What an operator asks of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    /// An attribute and its value.
    pub(super) require: &'static str,
    pub(super) device: &'static str,
}

/// Conditions where the query is the operator's.
fn query(conditions: Option<Conditions>) -> String {
    let query = |Conditions { require, device }| format!("?require={require}&device={device}");
    conditions.map_or(String::new(), query)
}

/// Conditions where the proxy sets headers.
fn headers(conditions: Option<Conditions>) -> String {
    let headers = |Conditions { require, device }| {
        let require = format!("{{key: x-auth-require, value: \"{require}\"}}");
        let device = format!("{{key: x-auth-require-device, value: \"{device}\"}}");
        format!("{{headers_to_add: [{require}, {device}]}}")
    };
    conditions.map_or(String::new(), headers)
}

/// The kinds of proxies that are installed for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    Caddy,
    Haproxy,
    Envoy,
}

impl Kind {
    /// The shipped file as a test needs it: other addresses, and conditions if there are any.
    fn sample(self, at: &Addresses, conditions: Option<Conditions>) -> String {
        let [listen, gateway, app] =
            [at.listen, at.gateway, at.app].map(|address| address.to_string());
        let port = at.listen.port();
        let socket = |at: SocketAddr| format!("address: {}, port_value: {}", at.ip(), at.port());
        let (text, changes) = match self {
            Self::Nginx => (
                include_str!("../../../deploy/nginx/session-gateway.conf"),
                vec![
                    ("listen 80;", format!("listen {listen};")),
                    ("gateway.internal:8080", gateway),
                    ("app.internal:8081", app),
                    ("/auth/nginx;", format!("/auth/nginx{};", query(conditions))),
                ],
            ),
            Self::Caddy => (
                include_str!("../../../deploy/caddy/Caddyfile"),
                vec![
                    (
                        "http://app.example.com {",
                        format!("http://:{port} {{\n\tbind 127.0.0.1"),
                    ),
                    ("gateway.internal:8080", gateway),
                    ("app.internal:8081", app),
                    (
                        "/auth/forward?",
                        format!(
                            "/auth/forward?{}",
                            query(conditions).trim_start_matches('?')
                        ),
                    ),
                ],
            ),
            Self::Haproxy => (
                include_str!("../../../deploy/haproxy/haproxy.cfg"),
                vec![
                    ("/etc/haproxy/", String::new()),
                    ("bind :80", format!("bind {listen}")),
                    ("gateway.internal:8080", gateway),
                    ("app.internal:8081", app),
                    (
                        "/auth/forward",
                        format!("/auth/forward{}", query(conditions)),
                    ),
                ],
            ),
            Self::Envoy => (
                include_str!("../../../deploy/envoy/envoy.yaml"),
                vec![
                    ("address: 0.0.0.0, port_value: 80 ", socket(at.listen) + " "),
                    (
                        "address: gateway.internal, port_value: 8080",
                        socket(at.gateway),
                    ),
                    ("address: app.internal, port_value: 8081", socket(at.app)),
                    (
                        "authorization_request:",
                        format!("authorization_request: {}", headers(conditions)),
                    ),
                ],
            ),
        };
        let change = |text: String, (old, new): (&str, String)| {
            assert!(text.contains(old), "no {old} in the sample of {self:?}");
            text.replace(old, &new)
        };
        changes.into_iter().fold(text.to_owned(), change)
    }

    /// Writes what the sample is included in, and tells how to start it.
    fn command(self, directory: &Path, sample: &str) -> Command {
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        let mut command = match self {
            Self::Nginx => {
                write("sample.conf", sample);
                write("nginx.conf", NGINX);
                let mut command = Command::new("nginx");
                command.args(["-p", ".", "-e", "error.log", "-c", "nginx.conf"]);
                command
            }
            Self::Caddy => {
                write("Caddyfile", &format!("{{\n\tadmin off\n}}\n{sample}"));
                let mut command = Command::new("caddy");
                command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
                command.env("HOME", directory);
                command
            }
            Self::Haproxy => {
                let script = include_str!("../../../deploy/haproxy/session-gateway.lua");
                write("session-gateway.lua", script);
                write("haproxy.cfg", sample);
                let mut command = Command::new("haproxy");
                command.args(["-db", "-f", "haproxy.cfg"]);
                command
            }
            Self::Envoy => {
                write("envoy.yaml", sample);
                let built = Path::new(env!("CARGO_BIN_EXE_session-gateway"));
                let target = built.ancestors().nth(2).unwrap();
                let mut command = Command::new(target.join("sdk/venv/bin/envoy"));
                command.args([
                    "-c",
                    "envoy.yaml",
                    "--concurrency",
                    "1",
                    "--disable-hot-restart",
                ]);
                command
            }
        };
        let log = std::fs::File::create(directory.join("stderr.log")).unwrap();
        command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command
    }
}

/// A main configuration that needs no rights and leaves nothing behind.
const NGINX: &str = "
daemon off;
pid nginx.pid;
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include sample.conf;
}
";

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
        Self::with_conditions(kind, None).await
    }

    pub(super) async fn with_conditions(kind: Kind, conditions: Option<Conditions>) -> Self {
        let gateway = TestApp::new();
        let (state, store) = over_losable(&gateway);
        let (gateway_address, gateway_task) = listen(state).await;
        let addresses = Addresses {
            listen: free_address().await,
            gateway: gateway_address,
            app: upstream().await,
        };
        let directory = tempfile::tempdir().unwrap();
        let sample = kind.sample(&addresses, conditions);
        let mut command = kind.command(directory.path(), &sample);
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

    /// Sends bytes through the proxy and reads until it closes.
    pub(super) async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer));
        read.await.expect("an end of the answer").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
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

async fn listen(state: AppState) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = ServerSettings {
        max_connections: 100,
        drain_timeout: Duration::ZERO,
        deadlines: Deadlines::default(),
    };
    let routes = session_gateway::app::app(state);
    let task = tokio::spawn(async move {
        serve(listener, routes, settings, std::future::pending()).await;
    });
    (address, task)
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
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
    axum::response::IntoResponse::into_response(seen.to_string())
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
