//! The real program: started on a free port in a directory of its own, killed when dropped.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::client::Client;

/// The secret of the built-in service in tests.
pub(crate) const ADMIN_SECRET: &str = "test-admin-secret-0123456789abcdef";

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(5);

/// The program with its arguments and settings; nothing of the test's own environment reaches it.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    directory: Arc<TempDir>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    limits: Vec<String>,
    program: PathBuf,
}

impl Launch {
    /// In a fresh directory, on a free port, with its data in `data` there.
    pub(crate) fn new() -> Self {
        Self {
            directory: Arc::new(tempfile::tempdir().unwrap()),
            arguments: Vec::new(),
            variables: Vec::new(),
            limits: Vec::new(),
            program: env!("CARGO_BIN_EXE_session-gateway").into(),
        }
        .set("SGW_LISTEN", "127.0.0.1:0")
        .set("SGW_STORE", "embedded:./data")
        // Many run at once, and some file systems are in memory.
        .set("SGW_STORE_RESERVE", "1MiB")
        .set("SGW_DRAIN_DELAY", "0s")
        .set("SGW_ADMIN_SECRET", ADMIN_SECRET)
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.variables.retain(|(set, _)| set != name);
        self
    }

    /// Another program than the one of this build, of a version before it.
    pub(crate) fn program(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self.unset("SGW_STORE_RESERVE").unset("SGW_DRAIN_DELAY")
    }

    /// Lets it have no more file descriptors than this.
    pub(crate) fn limit_open_files(mut self, open_files: u32) -> Self {
        self.limits.push(format!("ulimit -n {open_files}"));
        self
    }

    /// Lets no file of it grow beyond this.
    pub(crate) fn limit_file_size(mut self, bytes: u64) -> Self {
        // The unit of POSIX.
        self.limits.push(format!("ulimit -f {}", bytes / 512));
        self
    }

    /// Its working directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn limited(&self) -> Command {
        if self.limits.is_empty() {
            return Command::new(&self.program);
        }
        let mut shell = Command::new("/bin/sh");
        let limited = format!("{} && exec \"$0\" \"$@\"", self.limits.join(" && "));
        shell.args(["-c", &limited]).arg(&self.program);
        shell
    }

    fn command(&self) -> Command {
        let mut command = self.limited();
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn output(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts it and waits until it listens, or else has ended.
    pub(crate) async fn start_or_end(self) -> Result<Gateway, (ExitStatus, String)> {
        let mut gateway = self.spawn();
        let deadline = Instant::now() + DEADLINE;
        while gateway.listens().is_none() {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                while !gateway.stderr.lock().unwrap().closed {
                    tokio::time::sleep(PAUSE).await;
                }
                return Err((status, gateway.stderr()));
            }
            assert!(Instant::now() < deadline, "neither: {}", gateway.stderr());
            tokio::time::sleep(PAUSE).await;
        }
        gateway.address = gateway.listens().unwrap();
        Ok(gateway)
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(self) -> Gateway {
        let mut gateway = self.spawn();
        gateway.wait_for_stderr("http://").await;
        gateway.address = gateway.listens().unwrap();
        let client = gateway.nobody();
        let deadline = Instant::now() + DEADLINE;
        while client.get("/readyz").await.status != 200 {
            assert!(Instant::now() < deadline, "never ready");
            tokio::time::sleep(PAUSE).await;
        }
        gateway
    }

    fn spawn(self) -> Gateway {
        let spawned = self.command().stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap();
        let stderr = Arc::new(Mutex::new(Written::default()));
        let (mut pipe, written) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                let mut written = written.lock().unwrap();
                written.bytes.extend_from_slice(&piece[..length]);
            }
            written.lock().unwrap().closed = true;
        });
        Gateway {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            stderr,
            launch: self,
        }
    }
}

/// What the program has written so far, and whether that was all.
#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    closed: bool,
}

/// The running program.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    address: SocketAddr,
    stderr: Arc<Mutex<Written>>,
    launch: Launch,
}

impl Gateway {
    /// With [`ADMIN_SECRET`] and a durable store in a directory of its own.
    pub(crate) async fn start() -> Self {
        Launch::new().start().await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls without credentials.
    pub(crate) fn nobody(&self) -> Client {
        Client::tcp(self.address)
    }

    /// Calls as the built-in service.
    pub(crate) fn admin(&self) -> Client {
        self.nobody().as_service("admin", ADMIN_SECRET)
    }

    /// Registers a service with these permissions and calls as it.
    pub(crate) async fn service(&self, service_id: &str, permissions: &[&str]) -> Client {
        super::register(&self.admin(), &self.nobody(), service_id, permissions).await
    }

    /// Where its store is.
    pub(crate) fn data(&self) -> PathBuf {
        self.launch.directory().join("data")
    }

    /// All it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap().bytes).into_owned()
    }

    /// Where it says that it listens.
    fn listens(&self) -> Option<SocketAddr> {
        let stderr = self.stderr();
        let (_, rest) = stderr.split_once("http://")?;
        let (line, _) = rest.split_once('\n')?;
        let end = line.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
        line[..end.unwrap_or(line.len())].parse().ok()
    }

    /// Waits for a text on stderr, and returns the rest of its line.
    pub(crate) async fn wait_for_stderr(&self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let closed = self.stderr.lock().unwrap().closed;
            let stderr = self.stderr();
            if let Some((_, rest)) = stderr.split_once(text)
                && let Some((line, _)) = rest.split_once('\n')
            {
                return line.to_owned();
            }
            let hopeless = closed || Instant::now() > deadline;
            assert!(!hopeless, "no {text:?} in: {stderr}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What of it is in memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let amount = line.unwrap().trim().trim_end_matches(" kB");
        amount.parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "still running: {}",
                self.stderr()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Kills it without warning, and starts it again on the same data.
    pub(crate) async fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.twin().start().await
    }

    /// Another launch with the same directory, settings and data, while this one runs.
    pub(crate) fn twin(&self) -> Launch {
        self.launch.clone()
    }
}

impl Drop for Gateway {
    /// It may have ended by itself.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
