//! The shipped samples as a test needs them: addresses and what an operator fills in are changed, nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// The kinds of proxies that are installed for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    Caddy,
    Haproxy,
    Envoy,
}

/// What an operator fills in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    Nothing,
    /// An attribute with its value, and a device.
    Conditions(&'static str, &'static str),
    /// Percent-encoded.
    LoginPage(&'static str),
    /// nginx with a cache of its own in front of the gateway.
    Cache,
    /// What stands behind the path, to let more pass.
    LetsPass(&'static str),
    /// Caddy as it hands on the query of its client.
    QueryOfTheClient,
    /// The id and secret of the service that the proxy is; no address is trusted then.
    Service(&'static str, &'static str),
}

/// Where everybody is.
pub(super) struct Addresses {
    pub(super) listen: SocketAddr,
    pub(super) gateway: SocketAddr,
    pub(super) app: SocketAddr,
}

type Changes = Vec<(&'static str, String)>;

impl Wish {
    /// The query with which a proxy asks.
    fn query(self) -> String {
        match self {
            Self::Nothing
            | Self::Cache
            | Self::LetsPass(_)
            | Self::QueryOfTheClient
            | Self::Service(..) => String::new(),
            Self::Conditions(require, device) => format!("require={require}&device={device}"),
            Self::LoginPage(page) => format!("login_url={page}"),
        }
    }

    /// The same behind a path.
    fn behind(self, path: &str) -> String {
        let query = self.query();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{path}{}{separator}{query}", self.suffix())
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::LetsPass(suffix) => suffix,
            Self::Nothing
            | Self::Conditions(..)
            | Self::LoginPage(_)
            | Self::Cache
            | Self::QueryOfTheClient
            | Self::Service(..) => "",
        }
    }

    fn nginx(self) -> Changes {
        let mut changes = vec![("/auth/nginx", self.behind("/auth/nginx"))];
        if matches!(self, Self::Cache) {
            let cached =
                "proxy_cache auth; proxy_cache_valid 10m; proxy_cache_key $http_authorization;";
            changes.push((
                "internal;\n        # Conditions",
                format!("internal; {cached}\n        # Conditions"),
            ));
        }
        if let Self::Service(id, secret) = self {
            changes.push(("X-Service-Id \"\"", format!("X-Service-Id {id}")));
            changes.push((
                "X-Service-Secret \"\"",
                format!("X-Service-Secret {secret}"),
            ));
        }
        changes
    }

    fn caddy(self) -> Changes {
        let question = match self {
            Self::QueryOfTheClient => "/auth/forward".to_owned(),
            _ => format!("/auth/forward{}?{}", self.suffix(), self.query()),
        };
        let mut changes = vec![("/auth/forward?", question)];
        if let Self::Service(id, secret) = self {
            changes.push((
                "header_up -X-Service-Id",
                format!("header_up X-Service-Id {id}"),
            ));
            changes.push((
                "header_up -X-Service-Secret",
                format!("header_up X-Service-Secret {secret}"),
            ));
        }
        changes
    }

    fn envoy(self) -> Changes {
        let header = |name: &str, value: &str| format!("{{key: {name}, value: \"{value}\"}}");
        let [first, second] = match self {
            Self::LetsPass(suffix) => {
                let path = format!("path_override: /auth/envoy{suffix}");
                return vec![("path_override: /auth/envoy", path)];
            }
            Self::Nothing | Self::Cache | Self::LoginPage(_) | Self::QueryOfTheClient => {
                return Vec::new();
            }
            Self::Conditions(require, device) => [
                header("x-auth-require", require),
                header("x-auth-require-device", device),
            ],
            Self::Service(id, secret) => [
                header("x-service-id", id),
                header("x-service-secret", secret),
            ],
        };
        let added = format!("authorization_request: {{headers_to_add: [{first}, {second}]}}");
        vec![("authorization_request:", added)]
    }

    /// What HAProxy is goes into the script.
    fn script(self) -> Changes {
        let Self::Service(id, secret) = self else {
            return Vec::new();
        };
        let header = |name: &str, value: &str| format!("headers[\"{name}\"] = {{ \"{value}\" }}");
        vec![
            (
                "-- headers[\"x-service-id\"] = { \"edge\" }",
                header("x-service-id", id),
            ),
            (
                "-- headers[\"x-service-secret\"] = { \"sgs_\u{2026}\" }",
                header("x-service-secret", secret),
            ),
        ]
    }
}

/// A sample without the text would be another than the one that ships.
#[track_caller]
fn changed(text: &str, changes: Changes) -> String {
    let change = |text: String, (old, new): (&str, String)| {
        assert!(text.contains(old), "no {old} in the sample");
        text.replace(old, &new)
    };
    changes.into_iter().fold(text.to_owned(), change)
}

impl Kind {
    fn sample(self, at: &Addresses, wish: Wish) -> String {
        let listen = at.listen;
        let socket = |at: SocketAddr| format!("address: {}, port_value: {}", at.ip(), at.port());
        let (text, mut changes, wishes) = match self {
            Self::Nginx => (
                include_str!("../../../deploy/nginx/session-gateway.conf"),
                vec![("listen 80;", format!("listen {listen};"))],
                wish.nginx(),
            ),
            Self::Caddy => (
                include_str!("../../../deploy/caddy/Caddyfile"),
                vec![(
                    "http://app.example.com {",
                    format!("http://:{} {{\n\tbind {}", listen.port(), listen.ip()),
                )],
                wish.caddy(),
            ),
            Self::Haproxy => (
                include_str!("../../../deploy/haproxy/haproxy.cfg"),
                vec![
                    ("/etc/haproxy/", String::new()),
                    ("bind :80", format!("bind {listen}")),
                ],
                vec![("/auth/forward", wish.behind("/auth/forward"))],
            ),
            Self::Envoy => (
                include_str!("../../../deploy/envoy/envoy.yaml"),
                vec![
                    ("address: 0.0.0.0, port_value: 80 ", socket(listen) + " "),
                    (
                        "address: gateway.internal, port_value: 8080",
                        socket(at.gateway),
                    ),
                    ("address: app.internal, port_value: 8081", socket(at.app)),
                ],
                wish.envoy(),
            ),
        };
        if self != Self::Envoy {
            changes.push(("gateway.internal:8080", at.gateway.to_string()));
            changes.push(("app.internal:8081", at.app.to_string()));
        }
        changes.extend(wishes);
        changed(text, changes)
    }

    /// Writes all files, and tells how to start it.
    pub(super) fn command(self, directory: &Path, at: &Addresses, wish: Wish) -> Command {
        let sample = self.sample(at, wish);
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        let mut command = match self {
            Self::Nginx => {
                write("sample.conf", &sample);
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
                write("session-gateway.lua", &changed(script, wish.script()));
                write("haproxy.cfg", &sample);
                let mut command = Command::new("haproxy");
                command.args(["-db", "-f", "haproxy.cfg"]);
                command
            }
            Self::Envoy => {
                write("envoy.yaml", &sample);
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
    proxy_cache_path cache keys_zone=auth:1m;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include sample.conf;
}
";
