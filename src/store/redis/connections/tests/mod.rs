//! The connections against real servers.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use deadpool_redis::redis::{self, Value};

use super::super::FormatSettings;
use super::{
    Connections, Deadlines, Effect, OpenError, RedisSettings, RedisUrl, Script, Slot, deadline,
};
use crate::store::StoreError;

#[path = "../../../../../tests/it/support/redis/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the harness is shared with the integration tests, which use the rest"
)]
pub(in crate::store::redis) mod servers;

mod cancelled;
mod clusters;
mod error_classes;
mod listening;
mod outages;
mod overload;
mod scripts;
mod secured;
mod sentinels;

/// Within which they must be well again after Redis is back: generous, as the machine may be busy. How soon it is
/// really well is measured by the long form of `outages::`.
const RECOVERY: Duration = Duration::from_secs(15);

/// No request waits longer, whatever Redis does. Generous: the machine may be busy.
const BOUND: Duration = Duration::from_secs(2);

/// Where no request may fail, a slow machine is waited for.
const PATIENT: Deadlines = Deadlines {
    wait: Duration::from_secs(1),
    command: Duration::from_secs(5),
    connect: Duration::from_secs(5),
};

/// Adds to a counter and tells it.
static ADD: LazyLock<Script> =
    LazyLock::new(|| Script::new("", &["return redis.call('INCRBY', KEYS[1], ARGV[1])"]));

pub(in crate::store::redis) fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: RedisUrl::parse(url).unwrap(),
        ca_file: None,
        prefix: "sgw".to_owned(),
        idle_after: Duration::from_secs(60),
        tombstone_retention: Duration::from_secs(60),
        event_retention: Duration::from_secs(60),
        touch_interval: Duration::from_secs(1),
        sweep_grace: Duration::from_secs(60),
        deadlines: Deadlines::default(),
        wait_replicas: 0,
        formats: FormatSettings::default(),
        test_clock: None,
    }
}

async fn open(url: &str) -> Connections {
    Connections::open(&settings(url)).await.unwrap()
}

async fn open_patiently(url: &str) -> Connections {
    let mut settings = settings(url);
    settings.deadlines = PATIENT;
    Connections::open(&settings).await.unwrap()
}

fn key(slot: Slot, name: &str) -> String {
    match slot {
        Slot::Shard(shard) => format!("sgw:{{{shard:02x}}}:{name}"),
        Slot::Of(tag) => format!("sgw:{{{tag}}}:{name}"),
        Slot::Hash(hash) => format!("sgw:t:{}{name}", hash[0]),
    }
}

async fn get(connections: &Connections, slot: Slot, name: &str) -> Result<Value, StoreError> {
    let mut command = redis::cmd("GET");
    command.arg(key(slot, name));
    connections.command(slot, &command).await
}

async fn set(
    connections: &Connections,
    slot: Slot,
    name: &str,
    value: &str,
) -> Result<Value, StoreError> {
    let mut command = redis::cmd("SET");
    command.arg(key(slot, name)).arg(value);
    connections.command(slot, &command).await
}

async fn add(connections: &Connections, slot: Slot, effect: Effect) -> Result<Value, StoreError> {
    let keys = [key(slot, "count").into_bytes()];
    connections
        .script(slot, &ADD, &keys, &[b"1".to_vec()], effect)
        .await
}

fn text(value: &str) -> Value {
    Value::BulkString(value.as_bytes().to_vec())
}

/// How long it takes until Redis answers again.
async fn recovery(connections: &Connections, slot: Slot) -> Duration {
    let start = Instant::now();
    while get(connections, slot, "any").await.is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "never well again"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// How long each of the requests took, all sent at once; all of them must fail.
async fn failures(connections: &Connections, requests: usize) -> Vec<Duration> {
    let tasks: Vec<_> = (0..requests)
        .map(|number| {
            let connections = connections.clone();
            tokio::spawn(async move {
                let start = Instant::now();
                let shard = Slot::Shard(u8::try_from(number % 256).unwrap());
                assert!(get(&connections, shard, "any").await.is_err());
                start.elapsed()
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.push(task.await.unwrap());
    }
    took.sort();
    took
}
