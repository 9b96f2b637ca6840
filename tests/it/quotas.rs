//! Quotas from outside: one service takes as much as it may, and the others do not notice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::stream;
use serde_json::{Value, json};
use session_gateway::http::app::app as gateway;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::support::{Answer, Call, Client, Follow, TestApp};

const GRANTS: [&str; 5] = [
    "session.create",
    "session.read",
    "event.read",
    "token.verify",
    "attribute.write",
];

async fn limited(app: &TestApp, quotas: Value) -> Client {
    let shop = app.service("shop", &GRANTS).await;
    let patch = app.admin().patch("/v1/services/shop");
    patch.json(&json!({"quotas": quotas})).await.expect(200);
    shop
}

async fn open(client: &Client) -> Answer {
    let new = json!({"login_id": "u"});
    client.post("/v1/sessions").json(&new).await
}

#[track_caller]
fn exceeded(answer: &Answer, quota: &str) {
    let problem = answer.problem(429, "quota_exceeded");
    assert_eq!(problem["quota"], quota);
    assert!(problem["detail"].as_str().unwrap().contains(quota));
    assert_eq!(answer.header("retry-after"), "1");
}

fn follow(client: &Client) -> Call {
    let call = client.get("/v1/events");
    call.header("accept", "text/event-stream")
}

async fn usage(client: &Client, service_id: &str) -> Vec<Value> {
    let told = client.get(format!("/v1/services/{service_id}/usage")).await;
    told.value(200)["items"].as_array().unwrap().clone()
}

async fn used(client: &Client, service_id: &str, quota: &str) -> u64 {
    let usage = usage(client, service_id).await;
    let told = usage.iter().find(|item| item["quota"] == quota);
    told.unwrap()["used"].as_u64().unwrap()
}

#[tokio::test]
async fn no_more_sessions_are_opened_within_a_second_than_may() {
    let app = TestApp::new();
    let shop = limited(&app, json!({"opens_per_second": 3})).await;
    let other = app.service("other", &GRANTS).await;
    for second in 0..2 {
        for _ in 0..3 {
            open(&shop).await.expect(201);
        }
        let refused = open(&shop).await;
        exceeded(&refused, "opens_per_second");
        assert_eq!(refused.header("ratelimit"), "\"opens_per_second\";r=0;t=1");
        assert_eq!(
            refused.header("ratelimit-policy"),
            "\"opens_per_second\";q=3;w=1"
        );
        open(&other).await.expect(201);
        let read = shop.get("/v1/sessions").await;
        assert_eq!(
            read.value(200)["items"].as_array().unwrap().len(),
            4 * (second + 1)
        );
        app.pass(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn no_more_sessions_live_than_may_and_one_that_ends_makes_room() {
    let app = TestApp::new();
    let shop = limited(&app, json!({"live_sessions": 3})).await;
    let other = app.service("other", &GRANTS).await;
    let mut opened = Vec::new();
    for _ in 0..3 {
        opened.push(open(&shop).await.value(201));
    }
    for _ in 0..2 {
        let refused = open(&shop).await;
        exceeded(&refused, "live_sessions");
        assert_eq!(refused.header("ratelimit"), "\"live_sessions\";r=0");
        assert_eq!(
            refused.header("ratelimit-policy"),
            "\"live_sessions\";q=3;qu=\"sessions\""
        );
    }
    open(&other).await.expect(201);
    let id = opened[0]["session"]["session_id"].as_str().unwrap();
    let ended = app.admin().delete(format!("/v1/sessions/{id}"));
    ended.await.expect(204);
    open(&shop).await.expect(201);
    exceeded(&open(&shop).await, "live_sessions");
    let live = json!({"quota": "live_sessions", "used": 3, "limit": 3});
    assert!(usage(&shop, "shop").await.contains(&live));

    // A service that is registered again is another one.
    app.admin().delete("/v1/services/shop").await.expect(204);
    let shop = limited(&app, json!({"live_sessions": 1})).await;
    open(&shop).await.expect(201);
    exceeded(&open(&shop).await, "live_sessions");
}

#[tokio::test]
async fn a_refused_open_is_open_again_under_the_same_key() {
    let app = TestApp::new();
    let shop = limited(&app, json!({"opens_per_second": 1})).await;
    open(&shop).await.expect(201);
    let again = || {
        let call = shop.post("/v1/sessions").header("Idempotency-Key", "k");
        call.json(&json!({"login_id": "u"}))
    };
    exceeded(&again().await, "opens_per_second");
    app.pass(Duration::from_secs(1));
    again().await.expect(201);
    again().await.expect(201);
    exceeded(&open(&shop).await, "opens_per_second");
}

#[tokio::test]
async fn no_more_streams_follow_than_may_and_who_leaves_makes_room() {
    let app = TestApp::new();
    let shop = limited(&app, json!({"followers": 1})).await;
    let other = app.service("other", &GRANTS).await;
    let one = Follow::begin(&shop, "/v1/events", None).await;
    exceeded(&follow(&shop).await, "followers");
    drop(Follow::begin(&other, "/v1/events", None).await);
    shop.get("/v1/events").await.expect(200);
    drop(one);
    drop(Follow::begin(&shop, "/v1/events", None).await);
}

const SECRET: &str = "the-secret-of-a-shop-that-is-in-a-hurry";

#[tokio::test]
async fn no_more_is_kept_for_repetitions_within_a_day_than_may_and_what_is_kept_is_answered() {
    let app = TestApp::new();
    let shop = limited(&app, json!({"idempotency_bytes": 2_000})).await;
    let send = |key: usize| {
        let call = shop.post("/v1/sessions");
        let call = call.header("Idempotency-Key", &key.to_string());
        call.json(&json!({"login_id": "u"}))
    };
    let admin = app.admin();
    let taken = || used(&admin, "shop", "idempotency_bytes");
    let mut opened = 0;
    while taken().await < 2_000 {
        send(opened).await.expect(201);
        opened += 1;
    }
    assert!((3..8).contains(&opened), "{opened} fit");
    let refused = send(opened).await;
    exceeded(&refused, "idempotency_bytes");
    assert_eq!(refused.header("ratelimit"), "\"idempotency_bytes\";r=0");
    let policy = "\"idempotency_bytes\";q=2000;qu=\"content-bytes\";w=86400";
    assert_eq!(refused.header("ratelimit-policy"), policy);
    let kept = taken().await;
    for key in 0..opened {
        send(key).await.expect(201);
    }
    assert_eq!(taken().await, kept);
    open(&shop).await.expect(201);
    let listed = shop.get("/v1/sessions").await.value(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), opened + 1);
    app.pass(Duration::from_secs(25 * 60 * 60));
    assert_eq!(taken().await, 0);
    send(opened).await.expect(201);
}

/// A create whose body comes when it is told to.
fn late(come: &Arc<Notify>, key: Option<&str>) -> Request<Body> {
    let come = Arc::clone(come);
    let body = stream::once(async move {
        come.notified().await;
        Ok::<_, Infallible>(r#"{"login_id":"u"}"#)
    });
    let request = Request::post("/v1/sessions")
        .header("host", "test")
        .header("content-type", "application/json")
        .header("x-service-id", "shop")
        .header("x-service-secret", SECRET);
    let request = key.into_iter().fold(request, |request, key| {
        request.header("idempotency-key", key)
    });
    request.body(Body::from_stream(body)).unwrap()
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_may_and_proxies_are_told_503() {
    let app = TestApp::new();
    let admin = app.admin();
    let register = json!({"service_id": "shop", "service_name": "Shop", "secret": SECRET,
        "permissions": GRANTS, "quotas": {"requests_in_flight": 2}});
    admin.post("/v1/services").json(&register).await.expect(201);
    let shop = app.nobody().as_service("shop", SECRET);
    let come = Arc::new(Notify::new());
    let router = gateway(app.state.clone());
    let mut calls = JoinSet::new();
    for key in [None, Some("k")] {
        calls.spawn(router.clone().oneshot(late(&come, key)));
    }
    let taken = || used(&admin, "shop", "requests_in_flight");
    while taken().await != 2 {
        if let Some(early) = calls.try_join_next() {
            panic!("answered before its body came: {early:?}");
        }
        tokio::task::yield_now().await;
    }
    let refused = shop.get("/v1/whoami").await;
    exceeded(&refused, "requests_in_flight");
    let left = "\"requests_in_flight\";r=0";
    assert_eq!(refused.header("ratelimit"), left);
    let policy = "\"requests_in_flight\";q=2;qu=\"concurrent-requests\"";
    assert_eq!(refused.header("ratelimit-policy"), policy);
    let ask = || {
        app.nobody()
            .get("/auth/nginx")
            .header("x-service-id", "shop")
            .header("x-service-secret", SECRET)
            .header("x-session-token", &"t".repeat(40))
    };
    let unknown = ask().await.expect(503);
    assert_eq!(unknown.header("retry-after"), "1");
    for _ in 0..2 {
        come.notify_one();
        let Ok(answer) = calls.join_next().await.unwrap().unwrap();
        assert_eq!(answer.status(), 201);
    }
    assert_eq!(taken().await, 0);
    ask().await.expect(401);
    shop.get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn an_answer_far_from_a_quota_tells_nothing_of_it() {
    let app = TestApp::new();
    let shop = limited(&app, json!({"opens_per_second": 5})).await;
    for used in 1..=5 {
        let opened = open(&shop).await;
        let told = opened.expect(201);
        let is_told = told.headers.contains_key("ratelimit");
        assert_eq!(is_told, used >= 4, "{used} of 5");
    }
}

#[tokio::test]
async fn a_service_sees_what_it_takes_itself_and_others_need_the_permission() {
    let app = TestApp::with(&[("SGW_SERVICE_MAX_OPENS_PER_SECOND", "7")]);
    let shop = limited(&app, json!({"followers": 0})).await;
    open(&shop).await.expect(201);
    let wanted = [
        json!({"quota": "requests_in_flight", "used": 1, "limit": 1_000}),
        json!({"quota": "opens_per_second", "used": 1, "limit": 7}),
        json!({"quota": "live_sessions", "used": 1, "limit": 5_000_000}),
        json!({"quota": "idempotency_bytes", "used": 0, "limit": 64 << 20}),
        json!({"quota": "followers", "used": 0, "limit": 0}),
    ];
    assert_eq!(usage(&shop, "shop").await, wanted);
    let reader = app.service("reader", &["service.read"]).await;
    assert_eq!(usage(&reader, "shop").await[1], wanted[1]);
    let refused = shop.get("/v1/services/reader/usage").await;
    refused.problem(403, "permission_denied");
    let nobody = reader.get("/v1/services/nobody/usage").await;
    nobody.problem(404, "service_not_found");
}

#[tokio::test]
async fn quotas_are_set_merged_and_reset() {
    let app = TestApp::new();
    let admin = app.admin();
    let register = json!({"service_id": "shop", "service_name": "Shop", "permissions": [],
        "quotas": {"followers": 2, "opens_per_second": null}});
    let made = admin.post("/v1/services").json(&register).await.value(201);
    assert_eq!(made["service"]["quotas"], json!({"followers": 2}));
    for (change, after) in [
        (
            json!({"opens_per_second": 0}),
            json!({"followers": 2, "opens_per_second": 0}),
        ),
        (json!({"followers": null}), json!({"opens_per_second": 0})),
        (json!({}), json!({"opens_per_second": 0})),
        (Value::Null, json!({})),
    ] {
        let patch = admin.patch("/v1/services/shop");
        let patched = patch.json(&json!({"quotas": change})).await.value(200);
        assert_eq!(patched["quotas"], after);
        let read = admin.get("/v1/services/shop").await.value(200);
        assert_eq!(read["quotas"], after);
    }
    for wrong in [
        json!({"connections": 1}),
        json!({"followers": -1}),
        json!({"followers": 1.5}),
        json!({"followers": "1"}),
        json!([]),
    ] {
        let patch = admin.patch("/v1/services/shop");
        let refused = patch.json(&json!({"quotas": wrong})).await;
        refused.problem(400, "invalid_request");
    }
    let twice = r#"{"quotas": {"followers": 1, "followers": 2}}"#;
    let patch = admin.patch("/v1/services/shop");
    let refused = patch.text("application/json", twice).await;
    refused.problem(400, "invalid_request");
}

#[tokio::test]
async fn while_services_follow_in_every_place_one_is_kept_for_admin() {
    let app = TestApp::with(&[("SGW_EVENT_FOLLOWERS", "1")]);
    let shop = app.service("shop", &GRANTS).await;
    let one = Follow::begin(&shop, "/v1/events", None).await;
    follow(&shop).await.problem(503, "busy");
    let kept = Follow::begin(&app.admin(), "/v1/events", None).await;
    follow(&app.admin()).await.problem(503, "busy");
    drop((one, kept));
}
