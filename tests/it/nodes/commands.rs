//! What a gateway asks of Redis: nothing that grows with what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::Value as Reply;
use serde_json::json;

use super::gateways::{Nodes, verify};
use super::job::do_everything;
use crate::store::redis::shared;
use crate::support::open;
use crate::support::redis::{RedisServer, Topology, eventually};

/// All that a gateway may ask on the way of a request.
const ALLOWED: [&str; 28] = [
    "del",
    "eval",
    "evalsha",
    "get",
    "hstrlen",
    "exists",
    "hdel",
    "hget",
    "hgetall",
    "hincrby",
    "hmget",
    "hscan",
    "hset",
    "pexpire",
    "pttl",
    "publish",
    "set",
    "xadd",
    "xrange",
    "xrevrange",
    "zadd",
    "zcard",
    "zrange",
    "zrangebylex",
    "zrangebyscore",
    "zrem",
    "zrevrangebylex",
    "zscore",
];

/// What is asked beside all requests, by gateways to know the masters and their clocks, by the test, and by servers.
const OF_THE_LINK: [&str; 14] = [
    "acl",
    "asking",
    "auth",
    "cluster",
    "command",
    "config",
    "hello",
    "info",
    "ping",
    "psync",
    "replconf",
    "role",
    "subscribe",
    "time",
];

/// How often each command was called on all of these servers.
async fn calls(servers: &[RedisServer]) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for server in servers {
        let stats: String = server.ask("INFO commandstats").await;
        let lines = stats
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_"));
        for (name, rest) in lines.filter_map(|line| line.split_once(":calls=")) {
            let count: u64 = rest.split(',').next().unwrap().parse().unwrap();
            let name = name.split('|').next().unwrap();
            if !OF_THE_LINK.contains(&name) {
                *calls.entry(name.to_owned()).or_default() += count;
            }
        }
    }
    calls
}

async fn forget_calls(servers: &[RedisServer]) {
    for server in servers {
        server.ask::<()>("CONFIG RESETSTAT").await;
    }
}

/// Nodes that have just started read what happened before; waits until they only keep their hearts beating.
async fn until_calm(servers: &[RedisServer]) {
    eventually(Duration::from_secs(60), || async {
        forget_calls(servers).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let reads = calls(servers).await.get("xrange").copied();
        reads.unwrap_or(0) < 10
    })
    .await;
}

async fn standalone() -> Arc<Topology> {
    Arc::new(Topology::standalone(&shared::options()).await)
}

async fn cluster() -> Arc<Topology> {
    let cluster = Topology::cluster(&shared::options()).await;
    cluster.never_fail_over().await;
    Arc::new(cluster)
}

async fn only_what_is_allowed_is_asked(topology: Arc<Topology>) {
    let nodes = Nodes::start(Arc::clone(&topology)).await;
    forget_calls(topology.first_masters()).await;
    do_everything(&nodes.admin(0), &nodes.nobody(1)).await;
    for stores in nodes.stores() {
        while stores.sessions.sweep().await.unwrap() {}
    }
    let calls = calls(topology.first_masters()).await;
    let asked: BTreeSet<_> = calls.keys().map(String::as_str).collect();
    let allowed = BTreeSet::from(ALLOWED);
    let more: Vec<_> = asked.difference(&allowed).collect();
    assert!(more.is_empty(), "{more:?}");
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_allowed_is_asked_of_one_server() {
    only_what_is_allowed_is_asked(standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_allowed_is_asked_of_a_cluster() {
    only_what_is_allowed_is_asked(cluster().await).await;
}

/// One for the caller, one for the session. What nodes do beside all requests is done less often.
async fn a_read_is_one_round_trip(topology: Arc<Topology>) {
    const READS: u64 = 300;
    let nodes = Nodes::start(Arc::clone(&topology)).await;
    let client = nodes.admin(0);
    let mut sessions = Vec::new();
    for number in 0..READS {
        let login = format!("u{number}");
        sessions.push(open(&client, json!({"login_id": login})).await);
    }
    until_calm(topology.first_masters()).await;
    forget_calls(topology.first_masters()).await;
    for session in &sessions {
        client.get(session.path()).await.expect(200);
        assert_eq!(verify(&client, &session.token).await["active"], true);
    }
    let calls = calls(topology.first_masters()).await;
    for (name, count) in &calls {
        match name.as_str() {
            "hget" | "hgetall" => assert_eq!(*count, 2 * READS, "{name}"),
            // On a cluster a heartbeat asks whether its master still serves each shard.
            "exists" => {}
            other => assert!(*count < READS, "{other} stands beside every read"),
        }
    }
    assert!(calls.contains_key("hgetall"));
    nodes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_and_verifying_are_one_round_trip_to_one_server() {
    a_read_is_one_round_trip(standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finding_and_verifying_are_one_round_trip_to_a_cluster() {
    a_read_is_one_round_trip(cluster().await).await;
}

/// The whole suite runs as this user, so that nothing it does on any path is one of these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_of_the_suite_may_not_look_through_all_keys() {
    for topology in [shared::standalone().await, shared::cluster().await] {
        for server in topology.first_masters() {
            for command in [
                "KEYS *",
                "SCAN 0",
                "SMEMBERS sgw-test-a",
                "RANDOMKEY",
                "DBSIZE",
                "FLUSHALL",
                "SORT sgw-test-a",
                "GET of-another",
            ] {
                let asked = format!("ACL DRYRUN session-gateway {command}");
                let Reply::BulkString(told) = server.ask(&asked).await else {
                    panic!("{command} is allowed");
                };
                let told = String::from_utf8(told).unwrap();
                assert!(told.contains("no permissions"), "{command}: {told}");
            }
        }
    }
}
