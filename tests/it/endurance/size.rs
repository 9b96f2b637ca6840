//! The start of a gateway does not depend on how much Redis holds.
//!
//! `SGW_TEST_SESSIONS` sets how many sessions that is; 100,000 if it is not set.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::json;
use session_gateway::config::Config;
use session_gateway::store::redis::{Deadlines, RedisSettings, RedisStore, RedisUrl};

use super::size;
use super::stored::Stored;
use crate::store::backend::draft;
use crate::support::open;

/// Generous, and far below what reading all sessions takes.
const STARTED_WITHIN: Duration = Duration::from_secs(5);
/// More than two starts differ by, and far less than copies of all sessions take.
const SAME_MEMORY_KIB: u64 = 16 * 1_024;

/// Fills the server past the gateway, which would take longer.
async fn fill(stored: &Stored, sessions: usize) {
    let nothing: [(&str, &str); 0] = [];
    let config = Config::from_variables(nothing).unwrap();
    let url = RedisUrl::parse(&stored.url).unwrap();
    let patient = Duration::from_secs(10);
    let settings = RedisSettings {
        deadlines: Deadlines {
            wait: patient,
            command: patient,
            connect: patient,
        },
        ..config.store.redis(&url)
    };
    let stores = RedisStore::open(settings).await.unwrap();
    stream::iter(0..sessions)
        .for_each_concurrent(128, async |n| {
            let new = draft(&format!("login-{n}"));
            stores.sessions.create(new).await.unwrap();
        })
        .await;
}

/// How long a gateway takes to be ready, and the memory it has then, in KiB.
async fn start(stored: &Stored) -> (Duration, u64) {
    let started = Instant::now();
    let gateway = stored.launch().start().await;
    let took = started.elapsed();
    open(&gateway.admin(), json!({"login_id": "u"})).await;
    (took, gateway.resident_kib())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_as_fast_beside_many_sessions_as_beside_none() {
    let sessions = size("SGW_TEST_SESSIONS", 100_000);
    let stored = Stored::on_one_server().await;
    let (empty, empty_kib) = start(&stored).await;
    let filling = Instant::now();
    fill(&stored, sessions).await;
    eprintln!("{sessions} sessions opened in {:?}", filling.elapsed());
    let looks = ["scan", "keys", "sscan", "hscan", "zscan", "smembers"];
    let before = looks.map(|command| stored.calls(command));
    let (full, full_kib) = start(&stored).await;
    eprintln!("ready after {empty:?} and {full:?}, resident {empty_kib} and {full_kib} KiB");
    assert!(full < STARTED_WITHIN, "ready after {full:?}");
    assert!(full_kib < empty_kib + SAME_MEMORY_KIB, "{full_kib} KiB");
    assert_eq!(looks.map(|command| stored.calls(command)), before);
    assert_eq!(stored.filed(), sessions + 2);
}
