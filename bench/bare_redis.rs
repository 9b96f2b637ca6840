//! The server below the gateway.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::gateway::free_address;

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
}

impl Drop for BareRedis {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
