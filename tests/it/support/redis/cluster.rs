//! Three masters with a replica each.

use std::process::Command;
use std::time::Duration;

use deadpool_redis::redis::{self, Value};

use super::server::{RedisServer, ServerOptions, eventually};

/// First slot, last slot, and the address of their master.
type Range = (u16, u16, (String, u16));

/// The servers of a cluster, masters first as long as none failed.
#[derive(Debug)]
pub struct RedisCluster {
    pub servers: Vec<RedisServer>,
}

impl RedisCluster {
    pub async fn start() -> Self {
        Self::start_with(options()).await
    }

    /// Of servers that are all started like this.
    pub async fn start_with(options: ServerOptions) -> Self {
        let mut servers = Vec::new();
        for _ in 0..6 {
            servers.push(RedisServer::start_with(options.clone()).await);
        }
        let cluster = Self { servers };
        cluster.join();
        cluster.wait_until_ready().await;
        cluster
    }

    fn join(&self) {
        let hosts = self
            .servers
            .iter()
            .map(|each| format!("127.0.0.1:{}", each.port));
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(hosts)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .expect("redis-cli is installed");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stdout)
        );
    }

    async fn wait_until_ready(&self) {
        for server in &self.servers {
            eventually(Duration::from_secs(20), || async {
                let info: String = server.ask("CLUSTER INFO").await;
                let joined =
                    info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6");
                let linked = server.info("role").await.starts_with("master")
                    || server.info("master_link_status").await.starts_with("up");
                joined && linked
            })
            .await;
        }
    }

    /// The hosts of a `redis+cluster://` URL.
    pub fn hosts(&self) -> String {
        let hosts = self
            .servers
            .iter()
            .map(|each| format!("127.0.0.1:{}", each.port));
        hosts.collect::<Vec<_>>().join(",")
    }

    /// The server that serves a slot now.
    pub async fn master_of(&self, slot: u16) -> usize {
        for asked in &self.servers {
            let answer: redis::RedisResult<Vec<Range>> = first_nodes(asked).await;
            let Ok(ranges) = answer else { continue };
            let found = ranges
                .iter()
                .find(|(start, end, _)| (*start..=*end).contains(&slot));
            if let Some((_, _, (_, port))) = found {
                return self
                    .servers
                    .iter()
                    .position(|each| each.port == *port)
                    .unwrap();
            }
        }
        panic!("nobody serves slot {slot}");
    }

    /// Moves slots from the server at one index to that at another, as an operator would, while clients go on.
    pub fn reshard(&self, from: usize, to: usize, slots: usize) -> std::process::Child {
        let id = |index: usize| {
            let port = self.servers[index].port.to_string();
            let answer = Command::new("redis-cli")
                .args(["-p", &port, "cluster", "myid"])
                .output();
            String::from_utf8(answer.unwrap().stdout)
                .unwrap()
                .trim()
                .to_owned()
        };
        Command::new("redis-cli")
            .args([
                "--cluster",
                "reshard",
                &format!("127.0.0.1:{}", self.servers[0].port),
            ])
            .args(["--cluster-from", &id(from), "--cluster-to", &id(to)])
            .args(["--cluster-slots", &slots.to_string(), "--cluster-yes"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    }
}

async fn first_nodes(server: &RedisServer) -> redis::RedisResult<Vec<Range>> {
    let answer: Vec<Vec<Value>> = server.try_ask("CLUSTER SLOTS").await?;
    let ranges = answer.into_iter().map(|range| {
        let mut parts = range.into_iter();
        let mut next = || parts.next().unwrap();
        let (start, end) = (
            redis::from_redis_value(next())?,
            redis::from_redis_value(next())?,
        );
        let Value::Array(node) = next() else {
            panic!("no node")
        };
        let mut node = node.into_iter();
        let host = redis::from_redis_value(node.next().unwrap())?;
        let port = redis::from_redis_value(node.next().unwrap())?;
        Ok((start, end, (host, port)))
    });
    ranges.collect()
}

fn options() -> ServerOptions {
    ServerOptions {
        lines: vec![
            "cluster-enabled yes".to_owned(),
            "cluster-node-timeout 1000".to_owned(),
            "cluster-require-full-coverage no".to_owned(),
            "repl-diskless-sync-delay 0".to_owned(),
        ],
        ..ServerOptions::default()
    }
}
