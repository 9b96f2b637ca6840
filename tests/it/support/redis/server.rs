//! One `redis-server`.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncConnectionConfig, Client, FromRedisValue};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

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
    process: Option<Child>,
}

impl RedisServer {
    /// A server with an append-only file and nothing else out of the ordinary.
    pub async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    pub async fn start_with(options: ServerOptions) -> Self {
        let mut server = Self {
            port: options.port.unwrap_or_else(free_port),
            options,
            dir: tempfile::tempdir().unwrap(),
            process: None,
        };
        server.write_files();
        server.run().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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
                 tls-key-file {dir}/server.key\ntls-ca-cert-file {dir}/ca.pem"
            )
        });
        if !self.options.sentinel {
            lines.push("appendonly yes\nappendfsync no\nsave \"\"".to_owned());
        }
        if self.options.users.is_some() {
            lines.push(format!("aclfile {dir}/users.acl"));
        }
        lines.extend(self.options.lines.iter().cloned());
        lines.join("\n")
    }

    /// Starts the process and waits until it listens.
    pub async fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.arg(self.config_path());
        if self.options.sentinel {
            command.arg("--sentinel");
        }
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let process = command
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        self.process = Some(process);
        eventually(Duration::from_secs(10), || async {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        })
        .await;
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        let id = Pid::from_raw(i32::try_from(process.id()).unwrap());
        kill(id, signal).unwrap();
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
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
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

    async fn try_connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let login = self.options.login.as_ref();
        let login = login.map_or_else(String::new, |(name, password)| {
            format!("{name}:{password}@")
        });
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        Client::open(format!("redis://{login}127.0.0.1:{}", self.port))?
            .get_multiplexed_async_connection_with_config(&patient)
            .await
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

/// A port below those the kernel gives to outgoing connections, so that none of them takes it meanwhile.
pub(super) fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() % 1_000).unwrap() * 10;
        let port = 11_000 + (start + step * 7) % 11_000;
        let bus_too = TcpListener::bind(("127.0.0.1", port + 10_000));
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && bus_too.is_ok() {
            return port;
        }
    }
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
