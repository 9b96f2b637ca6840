//! What readiness tells of Redis.

use serde_json::{Value, json};

use super::{SETTLED, gateway_on, launch, open, patiently};
use crate::support::Gateway;
use crate::support::redis::{RedisServer, ServerOptions, eventually};

fn codes(readiness: &Value) -> Vec<&str> {
    let warnings = readiness["warnings"].as_array();
    let warnings = warnings.map_or(&[][..], Vec::as_slice);
    warnings
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect()
}

async fn readiness(gateway: &Gateway) -> Value {
    let ready = patiently(|| gateway.nobody().get("/readyz")).await;
    ready.value(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgets_is_warned_of_until_it_is_mended() {
    let lines = ["maxmemory-policy allkeys-lru", "appendonly no"];
    let redis = RedisServer::start_with(ServerOptions {
        lines: lines.map(str::to_owned).to_vec(),
        ..ServerOptions::default()
    })
    .await;
    let gateway = gateway_on(&redis.url()).await;
    let told = readiness(&gateway).await;
    assert_eq!(
        codes(&told),
        ["sessions_can_vanish", "crashes_can_undo", "keys_in_clear"]
    );
    let detail = told["warnings"][0]["detail"].as_str().unwrap();
    assert!(
        detail.contains(&format!("127.0.0.1:{}", redis.port)),
        "{detail}"
    );
    assert!(detail.contains("maxmemory-policy allkeys-lru"), "{detail}");
    gateway.wait_for_stderr("redis.configuration").await;

    redis
        .ask::<()>("CONFIG SET maxmemory-policy noeviction")
        .await;
    redis.ask::<()>("CONFIG SET appendonly yes").await;
    eventually(SETTLED, || async {
        codes(&readiness(&gateway).await) == ["keys_in_clear"]
    })
    .await;
    redis
        .ask::<()>("CONFIG SET maxmemory-policy volatile-ttl")
        .await;
    eventually(SETTLED, || async {
        codes(&readiness(&gateway).await) == ["sessions_can_vanish", "keys_in_clear"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_makes_the_gateway_unready_with_its_address_and_no_secret() {
    let mut redis = RedisServer::start().await;
    redis
        .ask::<()>("ACL SETUSER gate on >s3cret ~* &* +@all")
        .await;
    let gateway = gateway_on(&format!("redis://gate:s3cret@127.0.0.1:{}", redis.port)).await;
    redis.freeze();
    let frozen = gateway.nobody().get("/readyz").await.value(503);
    redis.thaw();
    redis.kill();
    let port = redis.port.to_string();
    eventually(SETTLED, || async {
        let killed = gateway.nobody().get("/readyz").await.value(503);
        for told in [&frozen, &killed] {
            assert_eq!(told["status"], "not_ready");
            let reason = told["reason"].as_str().unwrap();
            assert!(reason.contains(&port), "{reason}");
            assert!(!reason.contains("s3cret"), "{reason}");
        }
        killed["reason"]
            .as_str()
            .unwrap()
            .contains("Connection refused")
    })
    .await;
    gateway.nobody().get("/livez").await.expect(200);
}

/// The library that shifts the clock of a process.
fn faketime() -> String {
    let mut folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| {
        let folder = entry.unwrap().path();
        folder.join("faketime/libfaketime.so.1")
    });
    let library = folders.find(|library| library.exists());
    library
        .expect("libfaketime is installed")
        .display()
        .to_string()
}

/// Opens a session, and tells its token and when it was opened.
async fn open_on(gateway: &Gateway) -> (Value, String) {
    let wanted = json!({"login_id": "u", "idle_timeout_seconds": 60});
    let call = || gateway.admin().post("/v1/sessions").json(&wanted);
    let opened = patiently(call).await.value(201);
    let created_at = opened["session"]["created_at"].as_str().unwrap();
    (json!({"token": opened["token"]}), created_at.to_owned())
}

async fn assert_live(gateway: &Gateway, token: &Value) {
    let verify = || gateway.admin().post("/v1/tokens/verify").json(token);
    assert_eq!(patiently(verify).await.value(200)["active"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_gateway_makes_no_difference() {
    let redis = RedisServer::start().await;
    let right = gateway_on(&redis.url()).await;
    for shift in ["-2d", "+2d"] {
        let wrong = launch(&redis.url())
            .set("LD_PRELOAD", &faketime())
            .set("FAKETIME", shift)
            .set("DONT_FAKE_MONOTONIC", "1")
            .start()
            .await;
        let (first, before) = open_on(&right).await;
        let (second, between) = open_on(&wrong).await;
        let (_, after) = open_on(&right).await;
        assert!(
            before <= between && between <= after,
            "{before} {between} {after}"
        );
        assert_live(&wrong, &first).await;
        assert_live(&right, &second).await;
        let (day, log) = (&before[..10], wrong.stderr());
        assert!(log.contains("redis.up") && !log.contains(day), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_run_scripts_the_gateway_is_not_ready() {
    let redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    redis.ask::<()>("ACL SETUSER default -evalsha -eval").await;
    let told = gateway.nobody().get("/readyz").await.value(503);
    assert!(
        told["reason"].as_str().unwrap().contains("permission"),
        "{told}"
    );
    redis.ask::<()>("ACL SETUSER default +@all").await;
    readiness(&gateway).await;
    open(&gateway.admin(), json!({"login_id": "u"})).await;
}
