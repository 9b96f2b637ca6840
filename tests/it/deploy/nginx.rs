//! A real nginx with the shipped configuration, before gateways of the test.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::shipped;
use crate::support::redis::eventually;

const DEADLINE: Duration = Duration::from_secs(20);

/// What a configuration needs around it to run as anybody, in a directory of its own.
const AROUND: &str = "
daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include shipped.conf;
}";

/// A running nginx; it goes with the test.
#[derive(Debug)]
pub(super) struct Nginx {
    pub(super) address: SocketAddr,
    process: Child,
    _directory: TempDir,
}

impl Nginx {
    /// With a shipped file in which the address to listen on and these hosts are replaced.
    pub(super) async fn start(file: &str, hosts: &[(&str, SocketAddr)]) -> Self {
        let (address, directory) = (free_address(), tempfile::tempdir().unwrap());
        let mut text = std::fs::read_to_string(shipped(file)).unwrap();
        text = text.replace("listen 8080", &format!("listen {address}"));
        for (host, address) in hosts {
            assert!(text.contains(host), "{file} does not name {host}");
            text = text.replace(host, &address.to_string());
        }
        std::fs::write(directory.path().join("shipped.conf"), text).unwrap();
        std::fs::write(directory.path().join("nginx.conf"), AROUND).unwrap();
        let process = Command::new("nginx")
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        eventually(DEADLINE, || async {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
        Self {
            address,
            process,
            _directory: directory,
        }
    }
}

impl Drop for Nginx {
    /// Its workers end with it.
    fn drop(&mut self) {
        let id = i32::try_from(self.process.id()).unwrap();
        let told = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(id),
            nix::sys::signal::Signal::SIGTERM,
        );
        drop((told, self.process.wait()));
    }
}

/// Nobody listens there yet.
pub(super) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
