//! The servers below the gateways, and what lies in them.

use std::time::Duration;

use deadpool_redis::redis::{Client, Cmd, Commands, Connection, cmd, pipe};

use crate::store::redis::audit;
use crate::support::Launch;
use crate::support::redis::{FaultProxy, RedisCluster, RedisServer, eventually};

/// Generous: the machine may be busy.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// The only keys that stay: the services, the format that is written, and the keyring.
pub(super) const ENDLESS: [&[u8]; 3] = [b"sgw:{services}:r", b"sgw:{services}:f", b"sgw:keys"];

/// One server or a cluster.
pub(super) struct Stored {
    pub(super) servers: Vec<RedisServer>,
    url: String,
}

impl Stored {
    pub(super) async fn on_one_server() -> Self {
        let server = RedisServer::start().await;
        Self {
            url: server.url(),
            servers: vec![server],
        }
    }

    pub(super) async fn on_a_cluster() -> Self {
        let cluster = RedisCluster::start().await;
        Self {
            url: format!("redis+cluster://{}", cluster.hosts()),
            servers: cluster.servers,
        }
    }

    /// Gateways will come through this proxy.
    pub(super) fn behind(self, proxy: &FaultProxy) -> Self {
        Self {
            url: format!("redis://127.0.0.1:{}", proxy.port),
            ..self
        }
    }

    /// A gateway that keeps its sessions here.
    pub(super) fn launch(&self) -> Launch {
        Launch::new().unset("SGW_STORE").set("SGW_STORE", &self.url)
    }

    /// Connections to all that are masters now.
    pub(super) fn masters(&self) -> Vec<Connection> {
        let connections = self
            .servers
            .iter()
            .map(|server| Client::open(server.url())?.get_connection());
        let mut connections: Vec<_> = connections.map(Result::unwrap).collect();
        connections.retain_mut(is_master);
        connections
    }

    /// The names of all keys.
    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        let of_one = |mut master: Connection| {
            let keys = master.scan::<Vec<u8>>().unwrap();
            keys.map(Result::unwrap).collect::<Vec<_>>()
        };
        self.masters().into_iter().flat_map(of_one).collect()
    }

    /// How many sessions are filed to be swept.
    pub(super) fn filed(&self) -> usize {
        self.count_of_shards(|key, _now| cmd("ZCARD").arg(key).clone())
    }

    /// How many of them are over.
    pub(super) fn expired(&self) -> usize {
        self.count_of_shards(|key, now| cmd("ZCOUNT").arg(key).arg("-inf").arg(now).clone())
    }

    fn count_of_shards(&self, count: impl Fn(&str, u64) -> Cmd) -> usize {
        let of_one = |mut master: Connection| -> usize {
            let now = now(&mut master);
            let mut counts = pipe();
            for shard in 0..=u8::MAX {
                let key = format!("sgw:{{{shard:02x}}}:x");
                if serves(&mut master, key.as_bytes()) {
                    counts.add_command(count(&key, now));
                }
            }
            let counts: Vec<usize> = counts.query(&mut master).unwrap();
            counts.iter().sum()
        };
        self.masters().into_iter().map(of_one).sum()
    }

    /// How often a command was called on any master since it started.
    pub(super) fn calls(&self, command: &str) -> u64 {
        let of_one = |mut master: Connection| -> u64 {
            let stats: String = cmd("INFO").arg("commandstats").query(&mut master).unwrap();
            let field = format!("cmdstat_{command}:calls=");
            let line = stats.lines().find_map(|line| line.strip_prefix(&field));
            line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
        };
        self.masters().into_iter().map(of_one).sum()
    }

    /// Fails if anything that is stored contradicts anything else, or stays for good and should not. Nobody may write
    /// meanwhile.
    #[track_caller]
    pub(super) fn audit(&self) {
        for mut master in self.masters() {
            audit(&mut master, "sgw");
        }
    }

    /// Fails if a key stays for good that should not.
    #[track_caller]
    pub(super) fn assert_mortal(&self) {
        for mut master in self.masters() {
            let keys: Vec<Vec<u8>> = master.keys("*").unwrap();
            for key in keys.iter().filter(|key| !ENDLESS.contains(&&***key)) {
                let ttl: i64 = master.pttl(key).unwrap();
                assert_ne!(ttl, -1, "{} has no TTL", key.escape_ascii());
            }
        }
    }

    /// Waits until every server answers as it should.
    pub(super) async fn well(&self) {
        for server in &self.servers {
            eventually(DEADLINE, || async {
                server.try_ask::<String>("PING").await.is_ok()
            })
            .await;
        }
    }
}

fn is_master(connection: &mut Connection) -> bool {
    let info: String = cmd("INFO").arg("replication").query(connection).unwrap();
    info.contains("role:master")
}

/// On a cluster, a master knows keys of its own slots only.
pub(super) fn serves(master: &mut Connection, key: &[u8]) -> bool {
    cmd("EXISTS").arg(key).query::<usize>(master).is_ok()
}

/// The clock of a master, in milliseconds.
pub(super) fn now(master: &mut Connection) -> u64 {
    let (seconds, micros): (u64, u64) = cmd("TIME").query(master).unwrap();
    seconds * 1_000 + micros / 1_000
}
