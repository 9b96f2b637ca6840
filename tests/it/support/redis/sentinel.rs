//! A master, a replica, and three Sentinels that watch them.

use std::time::Duration;

use deadpool_redis::redis;

use super::server::{RedisServer, ServerOptions, eventually};

/// How long the servers may take to agree: Sentinels tell an old master only after a while that it is none, and the
/// machine may be busy.
const STEADY_WITHIN: Duration = Duration::from_secs(60);

/// How long a master is missed before it counts as down.
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// The servers; which of the two is the master changes.
#[derive(Debug)]
pub struct RedisSentinels {
    pub servers: [RedisServer; 2],
    pub sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// Sentinels have a password of their own.
    pub async fn start(sentinel_password: &str) -> Self {
        Self::start_with(sentinel_password, &ServerOptions::default()).await
    }

    pub async fn start_with(sentinel_password: &str, options: &ServerOptions) -> Self {
        let master = RedisServer::start_with(options.clone()).await;
        let mut following = options.clone();
        let follow = format!("replicaof 127.0.0.1 {}", master.port);
        following.lines.push(follow);
        let replica = RedisServer::start_with(following).await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let options = watching(master.port, sentinel_password, options);
            sentinels.push(RedisServer::start_with(options).await);
        }
        let all = Self {
            servers: [master, replica],
            sentinels,
        };
        all.wait_until_ready().await;
        all
    }

    /// No slowness of the machine makes the replica a master from now on.
    pub async fn never_fail_over(&self) {
        for sentinel in &self.sentinels {
            let set = "SENTINEL SET main down-after-milliseconds 600000";
            sentinel.ask::<()>(set).await;
        }
    }

    /// Returns when the replica follows and all Sentinels know everybody.
    pub async fn wait_until_ready(&self) {
        eventually(STEADY_WITHIN, || async {
            let Some(master) = self.master().await else {
                return false;
            };
            let link = self.servers[1 - master].info("master_link_status").await;
            link.starts_with("up")
        })
        .await;
        for sentinel in &self.sentinels {
            eventually(STEADY_WITHIN, || async {
                let info = sentinel.info("master0").await;
                info.contains("slaves=1") && info.contains("sentinels=3")
            })
            .await;
        }
    }

    /// The hosts of a `redis+sentinel://` URL.
    pub fn hosts(&self) -> String {
        let hosts = self
            .sentinels
            .iter()
            .map(|each| format!("127.0.0.1:{}", each.port));
        hosts.collect::<Vec<_>>().join(",")
    }

    /// The server that says it is the master, if one does.
    pub async fn master(&self) -> Option<usize> {
        for (index, server) in self.servers.iter().enumerate() {
            let role: redis::RedisResult<redis::Value> = server.try_ask("ROLE").await;
            if let Ok(redis::Value::Array(parts)) = role
                && parts.first() == Some(&redis::Value::BulkString(b"master".to_vec()))
            {
                return Some(index);
            }
        }
        None
    }

    /// Lets the replica take over while the master lives, as soon as the Sentinels find it good enough.
    pub async fn fail_over(&self) {
        eventually(STEADY_WITHIN, || async {
            let told = self.sentinels[0].try_ask::<()>("SENTINEL FAILOVER main");
            told.await.is_ok()
        })
        .await;
    }
}

fn watching(master_port: u16, password: &str, watched: &ServerOptions) -> ServerOptions {
    let down_after = DOWN_AFTER.as_millis();
    let mut lines = vec![
        format!("requirepass {password}"),
        format!("sentinel sentinel-pass {password}"),
        format!("sentinel monitor main 127.0.0.1 {master_port} 2"),
        format!("sentinel down-after-milliseconds main {down_after}"),
        "sentinel failover-timeout main 3000".to_owned(),
    ];
    if let Some((name, password)) = &watched.login {
        lines.push(format!("sentinel auth-user main {name}"));
        lines.push(format!("sentinel auth-pass main {password}"));
    }
    ServerOptions {
        sentinel: true,
        lines,
        tls_files: watched.tls_files.clone(),
        login: Some((String::new(), password.to_owned())),
        ..ServerOptions::default()
    }
}
