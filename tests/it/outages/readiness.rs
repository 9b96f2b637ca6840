//! What readiness tells of Redis.

use serde_json::{Value, json};

use super::{RECOVERY, gateway_on};
use crate::support::redis::{RedisServer, ServerOptions, eventually};
use crate::support::{Gateway, open};

fn codes(readiness: &Value) -> Vec<&str> {
    let warnings = readiness["warnings"].as_array();
    let warnings = warnings.map_or(&[][..], Vec::as_slice);
    warnings
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect()
}

async fn readiness(gateway: &Gateway) -> Value {
    gateway.nobody().get("/readyz").await.value(200)
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
    assert_eq!(codes(&told), ["sessions_can_vanish", "crashes_can_undo"]);
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
    eventually(RECOVERY, || async {
        readiness(&gateway).await == json!({"status": "ready"})
    })
    .await;
    redis
        .ask::<()>("CONFIG SET maxmemory-policy volatile-ttl")
        .await;
    eventually(RECOVERY, || async {
        codes(&readiness(&gateway).await) == ["sessions_can_vanish"]
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
    eventually(RECOVERY, || async {
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
