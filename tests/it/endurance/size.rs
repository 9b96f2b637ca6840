//! The start of a gateway does not depend on how much Redis holds.
//!
//! `SGW_TEST_SESSIONS` sets how many sessions that is; 100,000 if it is not set.

use std::time::{Duration, Instant};

use deadpool_redis::redis::{Connection, cmd};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::stored::Stored;
use crate::support::{persistently, size};

/// Generous, and far below what reading all sessions takes.
const STARTED_WITHIN: Duration = Duration::from_secs(5);
/// More than two starts differ by, and far less than copies of all sessions take.
const SAME_MEMORY_KIB: u64 = 16 * 1_024;

/// Sessions that gateways open; all others are copies of them.
const MODELS: usize = 100;

/// Copies a session under other ids. KEYS: its record, and the indexes of its shard by id, by expiry, and of its login.
const COPY: &str = "
local id = ARGV[1]
local expiry = redis.call('ZSCORE', KEYS[3], id)
for n = 1, tonumber(ARGV[2]) do
  local copy = string.sub(id, 1, 10) .. struct.pack('>I4', n) .. string.sub(id, 15)
  local record = string.sub(KEYS[1], 1, -17) .. copy
  redis.call('COPY', KEYS[1], record)
  redis.call('HSET', record, 'd', copy)
  redis.call('ZADD', KEYS[2], 0, copy)
  redis.call('ZADD', KEYS[3], expiry, copy)
  redis.call('ZADD', KEYS[4], 0, copy)
end";

/// Copies a session of a login so often, past the gateway.
pub(crate) fn copy(redis: &mut Connection, login: &str, session_id: &Value, copies: usize) {
    let id = serde_json::from_value::<Uuid>(session_id.clone());
    let id = id.unwrap().into_bytes();
    let tag = format!("sgw:{{{:02x}}}:", id[15]);
    let key = |name: &str, rest: &[u8]| [tag.as_bytes(), name.as_bytes(), rest].concat();
    let mut copy = cmd("EVAL");
    copy.arg(COPY).arg(4).arg(key("s:", &id));
    copy.arg(key("i", b"")).arg(key("x", b""));
    copy.arg(key("l:", &Sha256::digest(login)[..16]));
    copy.arg(&id).arg(copies);
    copy.exec(redis).unwrap();
}

/// Fills the server past the gateway, which would take longer. The sessions are on devices of the kind `bulk`.
pub(super) async fn fill(stored: &Stored, sessions: usize) {
    let gateway = stored.launch().start().await;
    let client = gateway.admin();
    let mut redis = stored.masters().remove(0);
    for n in 0..MODELS {
        let login = format!("login-{n}");
        let new = json!({"login_id": login, "device": "bulk"});
        let opened = persistently(|| client.post("/v1/sessions").json(&new)).await;
        let model = opened.value(201)["session"]["session_id"].clone();
        copy(&mut redis, &login, &model, sessions / MODELS);
    }
    let total = persistently(|| client.get("/v1/sessions?total=true")).await;
    assert!(total.value(200)["total"].as_u64().unwrap() >= sessions as u64);
}

/// How long a gateway takes to be ready, and the memory it has then, in KiB.
async fn start(stored: &Stored) -> (Duration, u64) {
    let started = Instant::now();
    let gateway = stored.launch().start().await;
    let took = started.elapsed();
    let client = gateway.admin();
    persistently(|| client.get("/v1/sessions"))
        .await
        .expect(200);
    (took, gateway.resident_kib())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_as_fast_beside_many_sessions_as_beside_none() {
    let sessions = size("SGW_TEST_SESSIONS", 100_000);
    let stored = Stored::on_one_server().await;
    let (empty, empty_kib) = start(&stored).await;
    fill(&stored, sessions).await;
    let looks = ["scan", "keys", "sscan", "hscan", "zscan", "smembers"];
    let before = looks.map(|command| stored.calls(command));
    let (full, full_kib) = start(&stored).await;
    eprintln!(
        "{sessions} sessions: ready after {empty:?} and {full:?}, resident {empty_kib} and {full_kib} KiB"
    );
    assert!(full < STARTED_WITHIN, "ready after {full:?}");
    assert!(full_kib < empty_kib + SAME_MEMORY_KIB, "{full_kib} KiB");
    assert_eq!(looks.map(|command| stored.calls(command)), before);
}
