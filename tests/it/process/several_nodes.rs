//! Several gateways on one Redis behave as one.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::store::redis::Keyspace;
use crate::support::{Client, Gateway, open};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

async fn three_gateways(redis: &Keyspace) -> [Gateway; 3] {
    [
        redis.launch().start().await,
        redis.launch().start().await,
        redis.launch().start().await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_does_every_gateway_knows() {
    let redis = Keyspace::own().await;
    let gateways = three_gateways(&redis).await;
    let [a, b, c] = gateways.each_ref().map(Gateway::admin);
    let session = open(&a, json!({"login_id": "u", "attributes": {"n": 0}})).await;
    b.put(session.at("/attributes/color"))
        .json(&json!("red"))
        .await
        .expect(201);
    let read = c.get(session.path()).await.value(200);
    assert_eq!(read["attributes"], json!({"n": 0, "color": "red"}));
    let verify = json!({"token": session.token});
    assert_eq!(
        b.post("/v1/tokens/verify").json(&verify).await.value(200)["active"],
        true
    );
    c.delete(session.path()).await.expect(204);
    for client in [&a, &b, &c] {
        let answer = client
            .post("/v1/tokens/verify")
            .json(&verify)
            .await
            .value(200);
        assert_eq!(answer["reason"], "logout");
    }
    let shop = gateways[0].service("shop", &["session.read"]).await;
    shop.get("/v1/sessions").await.expect(200);
    a.patch("/v1/services/shop")
        .json(&json!({"enabled": false}))
        .await
        .expect(200);
    b.get("/v1/services/shop").await.expect(200);
    shop.get("/v1/sessions").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_writes_are_exact_over_gateways() {
    let redis = Keyspace::own().await;
    let gateways = three_gateways(&redis).await;
    let session = open(&gateways[0].admin(), json!({"login_id": "writer"})).await;
    let mut work = JoinSet::new();
    for n in 0..60 {
        let (client, put) = (
            gateways[n % 3].admin(),
            session.at(&format!("/attributes/a{n}")),
        );
        work.spawn(async move {
            client.put(put).json(&json!(n)).await.expect(201);
            let limited = json!({"login_id": "u", "limit": {"max": 3}});
            client.post("/v1/sessions").json(&limited).await.expect(201);
        });
    }
    work.join_all().await;
    let admin = gateways[1].admin();
    assert_eq!(
        admin.get("/v1/logins/u").await.value(200)["session_count"],
        3
    );
    let all = admin.get(session.at("/attributes")).await.value(200);
    assert_eq!(all["attributes"].as_object().unwrap().len(), 60);
    assert_eq!(all["version"], 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_has_one_effect_on_whatever_gateway() {
    let redis = Keyspace::own().await;
    let gateways = three_gateways(&redis).await;
    let mut work = JoinSet::new();
    for gateway in &gateways {
        let client = gateway.admin();
        work.spawn(async move {
            let call = client.post("/v1/sessions").header("Idempotency-Key", "one");
            call.json(&json!({"login_id": "u"})).await.value(201)
        });
    }
    let answers = work.join_all().await;
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    let summary = gateways[0].admin().get("/v1/logins/u").await.value(200);
    assert_eq!(summary["session_count"], 1);
}

async fn wait_until_ready(client: &Client) {
    let deadline = Instant::now() + DEADLINE;
    while client.get("/readyz").await.status != 200 {
        assert!(Instant::now() < deadline, "never ready again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_is_neither_yes_nor_no_and_is_found_again() {
    let redis = Keyspace::own().await;
    let gateway = redis.launch().start().await;
    let admin = gateway.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let verify = json!({"token": session.token});
    redis.server().freeze();
    for _ in 0..20 {
        let answer = admin.post("/v1/tokens/verify").json(&verify).await;
        answer.problem(503, "store_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    admin.get("/readyz").await.expect(503);
    admin.get("/livez").await.expect(200);
    redis.server().thaw();
    wait_until_ready(&admin).await;
    assert_eq!(
        admin
            .post("/v1/tokens/verify")
            .json(&verify)
            .await
            .value(200)["active"],
        true
    );
}
