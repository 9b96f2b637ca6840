//! The server as its users run it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Secret of the built-in service during the run.
pub(crate) const SECRET: &str = "benchmark-secret-of-more-than-32-bytes";

pub(crate) struct Gateway {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) ready_after: Duration,
}

impl Gateway {
    /// With this store, and all else as it comes.
    pub(crate) fn start(store: &str) -> Self {
        let address = free_address();
        let started = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_session-gateway"))
            .env_clear()
            .env("SGW_LISTEN", address.to_string())
            .env("SGW_STORE", store)
            .env("SGW_ADMIN_SECRET", SECRET)
            .env("SGW_SERVICE_MAX_OPENS_PER_SECOND", "0")
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        while !is_ready(address) {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the server is not ready after a minute"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Self {
            process,
            address,
            ready_after: started.elapsed(),
        }
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kib: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
        kib / 1024.0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Nobody listens there yet.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}
