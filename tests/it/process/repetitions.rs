//! What is kept of answers has a bound, however large the sessions that they show.

use std::path::Path;

use deadpool_redis::redis::{Commands, Connection, cmd};
use serde_json::{Value, json};

use crate::support::redis::RedisServer;
use crate::support::{Answer, Client, Gateway, Launch, Opened, open};

/// Bytes of a session's attributes.
const LARGE: usize = 240_000;
/// Repetitions that are kept.
const CALLS: usize = 200;
/// For the record of one call: its 4 KiB, the draw, and what Redis adds.
const BOUND: usize = 5_120;

fn large() -> Value {
    let values = (0..4).map(|name| (name.to_string(), json!("x".repeat(LARGE / 4))));
    json!({"login_id": "u", "attributes": Value::Object(values.collect())})
}

async fn send(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let call = client.post(path).header("Idempotency-Key", key);
    call.json(body).await
}

fn records(redis: &mut Connection) -> Vec<Vec<u8>> {
    let keys = redis.scan_match("sgw:k:*").unwrap();
    keys.map(Result::unwrap).collect()
}

fn bytes(redis: &mut Connection, key: &[u8]) -> usize {
    let mut usage = cmd("MEMORY");
    usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
    usage.query(redis).unwrap()
}

fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    let sizes = entries.map(|entry| entry.unwrap().metadata().unwrap().len());
    sizes.sum()
}

fn on(server: &RedisServer, format: &str) -> Launch {
    let launch = Launch::new()
        .unset("SGW_STORE")
        .set("SGW_STORE", &server.url());
    launch.set("SGW_STORE_FORMAT", format)
}

/// A service that may do no more than open sessions and refresh its own, with a large session.
async fn shop(gateway: &Gateway) -> (Client, Opened) {
    let grants = ["session.create", "session.update:own"];
    let shop = gateway.service("shop", &grants).await;
    let session = open(&shop, large()).await;
    (shop, session)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ever_new_keys_on_a_large_session_keep_little_each_in_redis() {
    let server = RedisServer::start().await;
    let mut redis = server.blocking_connection();
    let gateway = on(&server, "2").start().await;
    let (shop, session) = shop(&gateway).await;
    for call in 0..CALLS {
        let key = format!("refresh-{call}");
        send(&shop, &session.at("/refresh"), &key, &json!({}))
            .await
            .expect(200);
    }
    let admin = gateway.admin();
    let most = json!({"login_id": "full", "limit": {"max": 1}});
    for _ in 0..199 {
        open(&admin, json!({"login_id": "full"})).await;
    }
    let brought = "a".repeat(512);
    let mut full = most.clone();
    full["token"] = json!(brought);
    let first = send(&admin, "/v1/sessions", "full", &full).await.value(201);
    assert_eq!(first["evicted"].as_array().unwrap().len(), 199);
    let again = send(&admin, "/v1/sessions", "full", &full).await.value(201);
    assert_eq!(again, first);
    send(&admin, "/v1/sessions", "large", &large())
        .await
        .expect(201);
    let records = records(&mut redis);
    assert_eq!(records.len(), CALLS + 2);
    for record in records {
        let bytes = bytes(&mut redis, &record);
        assert!(bytes <= BOUND, "{bytes} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ever_new_keys_on_a_large_session_do_not_fill_the_disk() {
    let gateway = Gateway::start().await;
    let (shop, session) = shop(&gateway).await;
    let before = size(&gateway.data());
    for call in 0..CALLS {
        let key = format!("refresh-{call}");
        send(&shop, &session.at("/refresh"), &key, &json!({}))
            .await
            .expect(200);
    }
    let after = size(&gateway.data());
    let answered = (CALLS * LARGE) as u64;
    assert!(
        after < before + answered / 4,
        "{before} bytes have become {after}, and {answered} were answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_answers_are_kept_while_a_gateway_reads_no_other_and_are_given_again_later() {
    let server = RedisServer::start().await;
    let mut redis = server.blocking_connection();
    let old = on(&server, "1").start().await;
    let admin = old.admin();
    let session = open(&admin, large()).await;
    let path = session.at("/refresh");
    let first = send(&admin, &path, "k", &json!({})).await.value(200);
    let [record] = &*records(&mut redis) else {
        panic!("one call with a key was made");
    };
    assert!(bytes(&mut redis, record) > LARGE);
    let merge = json!({"late": true});
    let merged = admin.patch(session.at("/attributes")).json(&merge);
    merged.await.expect(200);
    let new = on(&server, "2").start().await;
    for gateway in [&old, &new] {
        let again = send(&gateway.admin(), &path, "k", &json!({})).await;
        assert_eq!(again.value(200), first);
    }
}
