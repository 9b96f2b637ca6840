//! The shipped configurations of Redis start real servers, and a gateway on them has nothing to warn of.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::shipped;
use crate::support::redis::{RedisCluster, RedisServer, ServerOptions, eventually};
use crate::support::{Gateway, Launch, open};

const DEADLINE: Duration = Duration::from_secs(60);

/// Overrides what the tests set otherwise, so that the shipped file has to.
fn options(file: &str, more: &[String]) -> ServerOptions {
    let include = format!("include {}", shipped(file).display());
    let mut lines = vec!["appendonly no".to_owned(), include];
    lines.extend_from_slice(more);
    ServerOptions {
        lines,
        ..ServerOptions::default()
    }
}

/// What a gateway in front of it writes, after it has opened a session.
async fn log_of(url: &str) -> String {
    let launch = Launch::new().unset("SGW_STORE").set("SGW_STORE", url);
    let gateway: Gateway = launch.start().await;
    open(&gateway.admin(), json!({"login_id": "u"})).await;
    gateway.stderr()
}

#[track_caller]
fn assert_no_warning(log: &str) {
    assert!(log.contains("redis.up"), "{log}");
    assert!(!log.contains("redis.configuration"), "{log}");
}

async fn setting(server: &RedisServer, name: &str) -> String {
    let settings: HashMap<String, String> = server.ask(&format!("CONFIG GET {name}")).await;
    settings[name].clone()
}

#[tokio::test]
async fn one_server_as_shipped_gives_no_warning_and_a_careless_one_does() {
    let server = RedisServer::start_with(options("redis/standalone.conf", &[])).await;
    assert_eq!(setting(&server, "appendfsync").await, "everysec");
    assert_no_warning(&log_of(&server.url()).await);

    server
        .ask::<()>("CONFIG SET maxmemory-policy allkeys-lru")
        .await;
    let log = log_of(&server.url()).await;
    assert!(log.contains("redis.configuration"), "{log}");
}

#[tokio::test]
async fn servers_below_sentinels_as_shipped_give_no_warning() {
    let master = RedisServer::start_with(options("redis/sentinel.conf", &[])).await;
    let follow = format!("replicaof 127.0.0.1 {}", master.port);
    let _replica = RedisServer::start_with(options("redis/sentinel.conf", &[follow])).await;
    let watch = format!("sentinel monitor main 127.0.0.1 {} 1", master.port);
    let sentinel = RedisServer::start_with(ServerOptions {
        sentinel: true,
        lines: vec![watch],
        ..ServerOptions::default()
    })
    .await;
    eventually(DEADLINE, || async {
        master.info("min_slaves_good_slaves").await == "1"
    })
    .await;
    assert_eq!(setting(&master, "min-replicas-max-lag").await, "3");
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    assert_no_warning(&log_of(&url).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_as_shipped_gives_no_warning() {
    let cluster = RedisCluster::start_with(&options("redis/cluster.conf", &[])).await;
    for server in &cluster.servers {
        assert_eq!(setting(server, "cluster-require-full-coverage").await, "no");
        assert_eq!(setting(server, "min-replicas-to-write").await, "1");
    }
    let url = format!("redis+cluster://{}", cluster.hosts());
    assert_no_warning(&log_of(&url).await);
}
