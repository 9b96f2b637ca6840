//! The parts of `docker-compose.yml`, put together without containers: its secrets, its Redis, two gateways, its nginx.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use session_gateway::config::VARIABLES;
use tempfile::TempDir;

use super::nginx::{Nginx, free_address};
use super::shipped;
use crate::support::redis::{RedisServer, ServerOptions, eventually};
use crate::support::{Client, Gateway, Launch, open, persistently};

const DEADLINE: Duration = Duration::from_secs(60);

fn composition() -> String {
    std::fs::read_to_string(shipped("docker-compose.yml")).unwrap()
}

/// What the script makes, in a copy of its surroundings.
struct Secrets(TempDir);

impl Secrets {
    fn make() -> Self {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(copy.path().join("redis")).unwrap();
        for name in ["make-secrets.sh", "redis/users.acl"] {
            std::fs::copy(shipped(name), copy.path().join(name)).unwrap();
        }
        let run = || Command::new(copy.path().join("make-secrets.sh")).output();
        let first = run().unwrap();
        assert!(first.status.success(), "{first:?}");
        assert!(!run().unwrap().status.success(), "secrets were overwritten");
        Self(copy)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("secrets").join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Starts the server of the composition, and lets the secrets say where it is.
    async fn start_redis(&self) -> RedisServer {
        let store = self.read("sgw-store");
        let credentials = store.strip_prefix("redis://").unwrap();
        let (login, _) = credentials.split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let server = RedisServer::start_with(ServerOptions {
            lines: vec![format!(
                "include {}",
                shipped("redis/standalone.conf").display()
            )],
            users: Some(self.read("users.acl")),
            login: Some((user.to_owned(), password.to_owned())),
            ..ServerOptions::default()
        })
        .await;
        let store = store.replace("@redis:6379", &format!("@127.0.0.1:{}", server.port));
        std::fs::write(self.path("sgw-store"), store).unwrap();
        server
    }

    fn launch(&self, address: SocketAddr) -> Launch {
        Launch::new()
            .unset("SGW_LISTEN")
            .unset("SGW_STORE")
            .unset("SGW_ADMIN_SECRET")
            .set("SGW_LISTEN", &address.to_string())
            .set("SGW_STORE_FILE", self.path("sgw-store").to_str().unwrap())
            .set(
                "SGW_ADMIN_SECRET_FILE",
                self.path("sgw-admin").to_str().unwrap(),
            )
    }

    /// The health check of Redis, as the composition has it.
    fn redis_is_healthy(&self) -> bool {
        let composition = composition();
        let line = composition.lines().find(|line| line.contains("CMD-SHELL"));
        let test = line.unwrap().trim().strip_prefix("test: ").unwrap();
        let test: [String; 2] = serde_json::from_str(test).unwrap();
        let directory = self.path("");
        let script = test[1]
            .replace("$$", "$")
            .replace("/run/secrets/", directory.to_str().unwrap());
        let status = Command::new("sh").args(["-c", &script]).status();
        status.unwrap().success()
    }
}

/// Writes and reads a session until it is over; every answer must be good.
async fn use_session(client: Client, over: Arc<AtomicBool>, done: Arc<AtomicUsize>) {
    let session = open(&client, json!({"login_id": "u"})).await;
    for n in 0.. {
        let number = json!(n);
        let put = || client.put(session.at("/attributes/n")).json(&number);
        let put = persistently(put).await;
        assert!(put.status.is_success(), "{}: {}", put.status, put.text());
        let read = persistently(|| client.get(session.path())).await.value(200);
        assert_eq!(read["attributes"]["n"], n);
        done.fetch_add(1, Ordering::Relaxed);
        if over.load(Ordering::Relaxed) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_are_replaced_one_by_one_and_nobody_behind_nginx_notices() {
    let secrets = Secrets::make();
    let mut redis = secrets.start_redis().await;
    assert!(secrets.redis_is_healthy());
    let addresses = [free_address(), free_address()];
    let hosts = [
        ("gateway-1:8080", addresses[0]),
        ("gateway-2:8080", addresses[1]),
    ];
    let mut gateways: Vec<Gateway> = Vec::new();
    for address in addresses {
        gateways.push(secrets.launch(address).start().await);
    }
    let nginx = Nginx::start("load-balancer.conf", &hosts).await;
    let client = Client::tcp(nginx.address).as_service("admin", &secrets.read("sgw-admin"));
    let (over, done) = (Arc::default(), Arc::default());
    let users: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(use_session(
                client.clone(),
                Arc::clone(&over),
                Arc::clone(&done),
            ))
        })
        .collect();
    for which in [0, 1] {
        let more = || async {
            let before: usize = done.load(Ordering::Relaxed);
            eventually(DEADLINE, || async {
                done.load(Ordering::Relaxed) > before + 50
            })
            .await;
        };
        more().await;
        gateways[which].signal(Signal::SIGTERM);
        assert!(gateways[which].ended().await.success());
        more().await;
        gateways[which] = secrets.launch(addresses[which]).start().await;
    }
    over.store(true, Ordering::Relaxed);
    for user in users {
        user.await.unwrap();
    }
    assert!(!gateways[0].stderr().contains("redis.configuration"));
    redis.kill();
    assert!(!secrets.redis_is_healthy());
}

#[test]
fn the_composition_names_only_files_and_settings_that_exist() {
    let text = composition();
    let mounts = text
        .split(['"', ' ', '\n'])
        .filter_map(|word| word.strip_prefix("./"));
    for mount in mounts {
        let file = mount.split(':').next().unwrap();
        let made = Path::new(file).starts_with("secrets");
        assert!(made || shipped(file).is_file(), "{file} is not there");
    }
    let settings = text.lines().filter(|line| line.trim().starts_with("SGW_"));
    for setting in settings {
        let name = setting.trim().split(':').next().unwrap();
        assert!(VARIABLES.iter().any(|known| known.name == name), "{name}");
    }
    assert_eq!(text.matches("ports:").count(), 1, "only nginx is published");
}
