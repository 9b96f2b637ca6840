//! The server below the gateway, and what it does alone.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::callers::CLIENTS;
use crate::gateway::free_address;

/// What `redis-benchmark` sends of each command in a round.
const BARE_REQUESTS: usize = 100_000;

/// Ticks of `/proc/<id>/stat` in a second, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The server below.
pub(crate) struct BareRedis {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    _dir: TempDir,
}

impl BareRedis {
    /// Syncs its file every second and does not write it anew in the middle of a round.
    pub(crate) fn start() -> Self {
        let (dir, address) = (tempfile::tempdir().unwrap(), free_address());
        let process = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
            ])
            .args(["--auto-aof-rewrite-percentage", "0", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "Redis is not there"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Self {
            process,
            address,
            _dir: dir,
        }
    }

    /// What it answers in a second without a gateway.
    pub(crate) fn bare_rates(&self) -> [(&'static str, f64); 2] {
        let output = Command::new("redis-benchmark")
            .args([
                "-p",
                &self.address.port().to_string(),
                "-c",
                &CLIENTS.to_string(),
            ])
            .args(["-n", &BARE_REQUESTS.to_string(), "-P", "1", "-t", "set,get"])
            .args(["-r", "100000", "-d", "300", "--csv"])
            .output()
            .expect("redis-benchmark is installed");
        let table = String::from_utf8(output.stdout).unwrap();
        ["SET", "GET"].map(|command| {
            let row = table
                .lines()
                .find_map(|row| row.strip_prefix(&format!("\"{command}\",\"")));
            let rate = row.unwrap().split('"').next().unwrap();
            (command, rate.parse().unwrap())
        })
    }
}

impl Drop for BareRedis {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// All CPU time of a process so far, in seconds.
pub(crate) fn cpu_time(process: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields = after_name.split_whitespace();
    // The 14th and 15th field of all, of which two are before.
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks / TICKS_PER_SECOND
}
