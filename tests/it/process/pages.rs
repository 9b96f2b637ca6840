//! Whatever lists are asked for at once, the memory of the gateway has a bound, and others are served.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::endurance::size::copy;
use crate::support::redis::RedisServer;
use crate::support::{Gateway, Launch, open, persistently};

/// Lists that are asked for at once.
const ASKING: usize = 16;
const MOST: usize = 4 * 1_024 * 1_024;
/// By how much memory may grow: for each its page as it was read, what is read ahead, and what is on its way.
const GROWTH_KIB: u64 = 256 * 1_024;
/// Generous: the machine may be busy.
const LIVES_WITHIN: Duration = Duration::from_secs(2);

/// Two attributes of 60 KB.
fn large() -> Value {
    let value = "x".repeat(60_000);
    json!({"login_id": "u", "attributes": {"a": value, "b": value}})
}

async fn list_at_once(gateway: &Gateway) {
    let before = gateway.resident_kib();
    let mut asking = JoinSet::new();
    for _ in 0..ASKING {
        let client = gateway.admin();
        asking.spawn(async move {
            let list = persistently(|| client.get("/v1/sessions?limit=1000")).await;
            let bytes = list.body.len();
            assert!(bytes <= MOST && bytes > MOST / 2, "{bytes}");
            assert!(list.value(200)["next_cursor"].is_string());
        });
    }
    let nobody = gateway.nobody();
    let (mut most, mut latest) = (0, Duration::ZERO);
    while !asking.is_empty() {
        while let Some(list) = asking.try_join_next() {
            list.unwrap();
        }
        let asked = Instant::now();
        nobody.get("/livez").await.expect(200);
        latest = latest.max(asked.elapsed());
        most = most.max(gateway.resident_kib());
    }
    let grown = most.saturating_sub(before);
    eprintln!("{ASKING} lists at once: {grown} KiB more, /livez within {latest:?}");
    assert!(grown < GROWTH_KIB, "{before} KiB, then {most}");
    assert!(latest < LIVES_WITHIN, "{latest:?}");
}

/// How many sessions the list gives, each once.
async fn listed(gateway: &Gateway) -> usize {
    let (mut seen, mut path) = (BTreeSet::new(), "/v1/sessions?limit=1000".to_owned());
    loop {
        let page = persistently(|| gateway.admin().get(&path)).await.value(200);
        for item in page["items"].as_array().unwrap() {
            assert!(seen.insert(item["session_id"].to_string()), "{item}");
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            return seen.len();
        };
        path = format!("/v1/sessions?limit=1000&cursor={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_large_sessions_in_a_file_take_little_memory() {
    const SESSIONS: usize = 300;
    let gateway = Launch::new().start().await;
    let mut opening = JoinSet::new();
    for _ in 0..SESSIONS {
        let client = gateway.admin();
        opening.spawn(async move { open(&client, large()).await });
    }
    opening.join_all().await;
    list_at_once(&gateway).await;
    assert_eq!(listed(&gateway).await, SESSIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_large_sessions_in_redis_take_little_memory() {
    const SESSIONS: usize = 1_000;
    let redis = RedisServer::start().await;
    let gateway = Launch::new()
        .unset("SGW_STORE")
        .set("SGW_STORE", &redis.url())
        .start()
        .await;
    let opened = persistently(|| gateway.admin().post("/v1/sessions").json(&large())).await;
    let model = opened.value(201)["session"]["session_id"].clone();
    copy(&mut redis.blocking_connection(), "u", &model, SESSIONS - 1);
    list_at_once(&gateway).await;
    assert_eq!(listed(&gateway).await, SESSIONS);
}
