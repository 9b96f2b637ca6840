//! What is told of the store in Redis alone, and the servers that tests start.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::{Client, Commands, Connection, cmd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use session_gateway::clock::{Clock, SettableClock};
use session_gateway::store::Stores;
use session_gateway::store::redis::{Deadlines, RedisSettings, RedisStore, RedisUrl};

use super::backend::{HOUR, SETTINGS};

mod audit;
mod memory;
mod nodes;
mod records;

pub(crate) use audit::{audit, audit_master};

/// How long a server may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// Tests ask for more at once than a gateway would, and on slow machines.
const PATIENT: Deadlines = Deadlines {
    wait: Duration::from_secs(10),
    command: Duration::from_secs(10),
    connect: Duration::from_secs(10),
};

/// A server of one test; it goes with it.
#[derive(Debug)]
pub(crate) struct RedisServer {
    process: Child,
    scheme: &'static str,
    address: String,
    _dir: tempfile::TempDir,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::start_with("redis", &[])
    }

    /// A cluster of one node that serves every slot.
    pub(crate) fn start_cluster() -> Self {
        let server = Self::start_with("redis+cluster", &["--cluster-enabled", "yes"]);
        let mut redis = server.connection();
        let mut serve = cmd("CLUSTER");
        serve.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
        serve.exec(&mut redis).unwrap();
        let started = Instant::now();
        loop {
            let info: String = cmd("CLUSTER").arg("INFO").query(&mut redis).unwrap();
            if info.contains("cluster_state:ok") {
                return server;
            }
            assert!(started.elapsed() < STARTED_WITHIN, "the cluster is down");
        }
    }

    fn start_with(scheme: &'static str, options: &[&str]) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(dir.path())
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed");
        let server = Self {
            process,
            scheme,
            address: format!("127.0.0.1:{port}"),
            _dir: dir,
        };
        let started = Instant::now();
        while server.client().get_connection().is_err() {
            assert!(started.elapsed() < STARTED_WITHIN, "redis-server is silent");
            std::thread::yield_now();
        }
        server
    }

    /// Stops it without a word; connections stay open.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// What a gateway is told to find it.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    fn client(&self) -> Client {
        Client::open(format!("redis://{}", self.address)).unwrap()
    }

    /// A connection of the test itself.
    pub(crate) fn connection(&self) -> Connection {
        self.client().get_connection().unwrap()
    }

    pub(crate) fn empty(&self) {
        self.connection().flushall::<()>().unwrap();
    }

    /// The store under a clock that the test moves.
    pub(crate) fn open_at(&self, clock: &Arc<SettableClock>) -> Stores {
        let clock: Arc<dyn Clock> = Arc::<SettableClock>::clone(clock);
        tokio::task::block_in_place(|| {
            let open = self.open(SETTINGS.event_retention, Some(clock));
            tokio::runtime::Handle::current().block_on(open)
        })
    }

    /// The store under a clock of the test's, or the server's own.
    pub(crate) async fn open(
        &self,
        event_retention: Duration,
        test_clock: Option<Arc<dyn Clock>>,
    ) -> Stores {
        let settings = RedisSettings {
            url: RedisUrl::parse(&format!("{}://{}", self.scheme, self.address)).unwrap(),
            ca_file: None,
            deadlines: PATIENT,
            wait_replicas: 0,
            prefix: "sgw".to_owned(),
            idle_after: SETTINGS.idle_after,
            tombstone_retention: SETTINGS.tombstone_retention,
            event_retention,
            touch_interval: SETTINGS.touch_interval,
            sweep_grace: 24 * HOUR,
            test_clock,
        };
        RedisStore::open(settings).await.unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
