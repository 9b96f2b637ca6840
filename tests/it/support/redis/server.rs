//! One `redis-server`.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, TlsCertificates, aio::MultiplexedConnection,
};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::port::Port;
use super::process::GuardedProcess;

/// Generous: the machine may be busy.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// How long the harness itself waits for a server that may be frozen, or slow on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Lines of its configuration.
    pub lines: Vec<String>,
    /// Starts as a Sentinel.
    pub sentinel: bool,
    /// Listens here; a free port otherwise.
    pub port: Option<u16>,
    /// Takes only TLS, with these files of its directory: `server.pem`, `server.key`, `ca.pem`.
    pub tls_files: Vec<(&'static str, String)>,
    /// The users it knows, as the text of an ACL file.
    pub users: Option<String>,
    /// Who the harness itself is to it.
    pub login: Option<(String, String)>,
}

/// A running server.
#[derive(Debug)]
pub struct RedisServer {
    pub port: u16,
    options: ServerOptions,
    dir: TempDir,
    process: Option<GuardedProcess>,
    _claim: Port,
}

impl RedisServer {
    /// A server with an append-only file and nothing else out of the ordinary.
    pub async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    pub async fn start_with(options: ServerOptions) -> Self {
        let claim = options.port.map_or_else(Port::free, Port::chosen);
        let mut server = Self {
            port: claim.number,
            options,
            dir: tempfile::tempdir().unwrap(),
            process: None,
            _claim: claim,
        };
        server.write_files();
        server.run().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    fn write_files(&self) {
        for (name, text) in &self.options.tls_files {
            std::fs::write(self.dir.path().join(name), text).unwrap();
        }
        if let Some(users) = &self.options.users {
            std::fs::write(self.dir.path().join("users.acl"), users).unwrap();
        }
        let mut file = std::fs::File::create(self.config_path()).unwrap();
        file.write_all(self.config().as_bytes()).unwrap();
    }

    fn config_path(&self) -> PathBuf {
        self.dir.path().join("redis.conf")
    }

    fn config(&self) -> String {
        let dir = self.dir.path().display();
        let port = self.port;
        let mut lines = vec![format!("bind 127.0.0.1\ndir {dir}\ndaemonize no")];
        lines.push(if self.options.tls_files.is_empty() {
            format!("port {port}")
        } else {
            format!(
                "port 0\ntls-port {port}\ntls-auth-clients no\ntls-cert-file {dir}/server.pem\n\
                 tls-key-file {dir}/server.key\ntls-ca-cert-file {dir}/ca.pem\n\
                 tls-replication yes\ntls-cluster yes"
            )
        });
        if !self.options.sentinel {
            lines.push("appendonly yes\nappendfsync no\nsave \"\"".to_owned());
            if let Some((name, password)) = &self.options.login {
                lines.push(format!("masterauth {password}"));
                if !name.is_empty() {
                    lines.push(format!("masteruser {name}"));
                }
            }
        }
        if self.options.users.is_some() {
            lines.push(format!("aclfile {dir}/users.acl"));
        }
        lines.extend(self.options.lines.iter().cloned());
        lines.join("\n")
    }

    /// Starts the process and waits until it listens.
    pub async fn run(&mut self) {
        let config = self.config_path();
        let mut words = vec!["redis-server", config.to_str().unwrap()];
        words.extend(self.options.sentinel.then_some("--sentinel"));
        self.process = Some(GuardedProcess::start(self.dir.path(), &words));
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(self.dir.path().join("log"));
            assert!(start.elapsed() < STARTED_WITHIN, "{:?}", log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// It answers nothing until [`Self::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// `kill -9`; [`Self::run`] starts it again, with what it has on disk.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// No snapshot can be written from now on: a directory is in its place.
    pub fn break_snapshots(&self) {
        std::fs::create_dir(self.dir.path().join("dump.rdb")).unwrap();
    }

    /// A connection of the harness's own.
    pub async fn connection(&self) -> MultiplexedConnection {
        self.try_connection().await.unwrap()
    }

    /// The same, for what waits.
    pub fn blocking_connection(&self) -> redis::Connection {
        self.client().unwrap().get_connection().unwrap()
    }

    async fn try_connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        self.client()?
            .get_multiplexed_async_connection_with_config(&patient)
            .await
    }

    fn client(&self) -> redis::RedisResult<Client> {
        let mut login = RedisConnectionInfo::default();
        if let Some((name, password)) = &self.options.login {
            login = login.set_password(password);
            if !name.is_empty() {
                login = login.set_username(name);
            }
        }
        let (host, port) = ("127.0.0.1".to_owned(), self.port);
        let info = match self.ca() {
            None => ConnectionAddr::Tcp(host, port).into_connection_info()?,
            Some(ca) => tls(host, port, ca)?,
        };
        Client::open(info.set_redis_settings(login))
    }

    fn ca(&self) -> Option<&str> {
        let mut files = self.options.tls_files.iter();
        let ca = files.find(|(name, _)| *name == "ca.pem");
        ca.map(|(_, pem)| pem.as_str())
    }

    /// `redis-cli` as the harness, to this server or another of the same kind.
    pub(super) fn cli(&self) -> Command {
        let mut command = Command::new("redis-cli");
        if let Some((name, password)) = &self.options.login {
            command.args(["--no-auth-warning", "--pass", password]);
            if !name.is_empty() {
                command.args(["--user", name]);
            }
        }
        if self.ca().is_some() {
            let ca = self.dir.path().join("ca.pem");
            command.arg("--tls").arg("--cacert").arg(ca);
        }
        command
    }

    /// Sends one command, its words apart by blanks.
    pub async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        self.try_ask(command)
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub async fn try_ask<T: FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        let mut words = command.split(' ');
        let mut call = redis::cmd(words.next().unwrap());
        call.arg(words.collect::<Vec<_>>());
        call.query_async(&mut self.try_connection().await?).await
    }

    /// A field of `INFO`; empty if there is none, or no answer.
    pub async fn info(&self, field: &str) -> String {
        let info: String = self.try_ask("INFO everything").await.unwrap_or_default();
        info.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tls(host: String, port: u16, ca: &str) -> redis::RedisResult<redis::ConnectionInfo> {
    // Whoever chose a provider for this process before has chosen for the harness too.
    drop(rustls::crypto::ring::default_provider().install_default());
    let address = ConnectionAddr::TcpTls {
        host,
        port,
        insecure: false,
        tls_params: None,
    };
    let trusted = TlsCertificates {
        client_tls: None,
        root_cert: Some(ca.as_bytes().to_vec()),
    };
    let client = Client::build_with_tls(address, trusted)?;
    Ok(client.get_connection_info().clone())
}

/// Waits for something that a server does in its own time.
#[track_caller]
pub fn eventually<F: Future<Output = bool>>(
    deadline: Duration,
    mut holds: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !holds().await {
            assert!(
                start.elapsed() < deadline,
                "not within {deadline:?}: {caller}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
