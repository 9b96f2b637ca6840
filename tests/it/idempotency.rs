//! `Idempotency-Key` from outside: one effect and one answer, also when an answer was lost.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use session_gateway::gateway::Gateway;
use session_gateway::http::app::app as gateway;
use session_gateway::http::state::AppState;
use session_gateway::rules::idempotency::Claim;
use session_gateway::store::node::Handle;
use session_gateway::store::{IdempotencyRecordKey, IdempotencyStore, StoreError};

use crate::support::{ADMIN_SECRET, Answer, Client, TestApp};

fn shop() -> Value {
    json!({"service_id": "shop", "service_name": "The shop", "permissions": []})
}

async fn register(by: &Client, key: &str, body: &Value) -> Answer {
    let call = by.post("/v1/services").header("idempotency-key", key);
    call.json(body).await
}

async fn rotate(by: &Client, key: &str) -> Answer {
    let call = by.post("/v1/services/shop/rotate-secret");
    call.header("idempotency-key", key).await
}

#[tokio::test]
async fn a_repetition_gets_the_answer_of_the_first() {
    let app = TestApp::new();
    let first = register(&app.admin(), "\"key-1\"", &shop())
        .await
        .expect(201);
    let again = register(&app.admin(), "key-1", &shop()).await.expect(201);
    assert_eq!(first.body, again.body);
    for header in ["location", "content-type", "cache-control"] {
        assert_eq!(first.header(header), again.header(header));
    }
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
}

#[tokio::test]
async fn the_same_key_for_another_body_is_refused() {
    let app = TestApp::new();
    register(&app.admin(), "key-1", &shop()).await.expect(201);
    let mut other = shop();
    other["service_id"] = json!("other");
    let refused = register(&app.admin(), "key-1", &other).await;
    refused.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_key_belongs_to_one_service_and_one_path() {
    let app = TestApp::new();
    let manager = app.service("manager", &["service.manage"]).await;
    register(&app.admin(), "key-1", &shop()).await.expect(201);
    let theirs = register(&manager, "key-1", &shop()).await;
    theirs.problem(409, "service_exists");
    rotate(&app.admin(), "key-1").await.expect(200);
}

#[tokio::test]
async fn parallel_repetitions_have_one_effect_and_one_answer() {
    let app = Arc::new(TestApp::new());
    app.service("shop", &[]).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let app = Arc::clone(&app);
        calls.spawn(async move { rotate(&app.admin(), "key-1").await.expect(200).body });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let answer: Value = serde_json::from_slice(&answers[0]).unwrap();
    let shop = app
        .nobody()
        .as_service("shop", answer["secret"].as_str().unwrap());
    shop.get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let app = TestApp::new();
    rotate(&app.admin(), "key-1")
        .await
        .problem(404, "service_not_found");
    app.service("shop", &[]).await;
    rotate(&app.admin(), "key-1").await.expect(200);
}

#[tokio::test]
async fn a_key_is_kept_for_a_day() {
    let app = TestApp::new();
    app.service("shop", &[]).await;
    let first = rotate(&app.admin(), "key-1").await.expect(200);
    app.pass(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(rotate(&app.admin(), "key-1").await.body, first.body);
    app.pass(Duration::from_secs(2));
    assert_ne!(
        rotate(&app.admin(), "key-1").await.expect(200).body,
        first.body
    );
}

#[tokio::test]
async fn other_methods_pass_the_key_over() {
    let app = TestApp::new();
    let list = app.admin().get("/v1/services");
    list.header("idempotency-key", "not one key")
        .await
        .expect(200);
}

#[tokio::test]
async fn who_lost_the_permission_gets_no_old_answer() {
    let app = TestApp::new();
    let manager = app.service("manager", &["service.manage"]).await;
    register(&manager, "key-1", &shop()).await.expect(201);
    let change = app.admin().patch("/v1/services/manager");
    change.json(&json!({"permissions": []})).await.expect(200);
    let refused = register(&manager, "key-1", &shop()).await;
    refused.problem(403, "permission_denied");
}

#[tokio::test]
async fn after_a_rotation_a_repetition_is_refused() {
    let app = TestApp::new();
    let old = app.service("manager", &["service.*"]).await;
    register(&old, "key-1", &shop()).await.expect(201);
    let rotated = old.post("/v1/services/manager/rotate-secret").await;
    let secret = rotated.expect(200).json()["secret"].clone();
    let new = old.as_service("manager", secret.as_str().unwrap());
    let repeated = register(&new, "key-1", &shop()).await;
    repeated.problem(422, "idempotency_key_unreadable");
}

/// Claims of a gateway that dies between the effect of a request and its answer.
#[derive(Debug)]
struct LostAnswers(Handle<dyn IdempotencyStore>);

#[async_trait]
impl IdempotencyStore for LostAnswers {
    async fn claim(
        &self,
        key: IdempotencyRecordKey,
        fingerprint: [u8; 32],
        entropy: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        self.0.claim(key, fingerprint, entropy).await
    }
    fn may_keep_remains(&self) -> bool {
        self.0.may_keep_remains()
    }
    async fn keep_answer(&self, _: IdempotencyRecordKey, _: Vec<u8>) -> Result<(), StoreError> {
        Err(StoreError::TimedOut)
    }
    async fn release(&self, key: IdempotencyRecordKey) -> Result<(), StoreError> {
        self.0.release(key).await
    }
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_repeated_with_the_same_draw() {
    let app = TestApp::new();
    let mut stores = app.state.gateway.stores.clone();
    stores.idempotency = Handle::new(Arc::new(LostAnswers(stores.idempotency)));
    let state = AppState::new(Gateway::new(
        stores,
        app.state.gateway.lifetimes,
        *app.state.gateway.authenticator.admin.load_full(),
    ));
    let admin = Client::in_process(gateway(state)).as_service("admin", ADMIN_SECRET);
    let lease = Duration::from_secs(10);
    let first = register(&admin, "key-1", &shop()).await.expect(201);
    app.pass(lease);
    let again = register(&admin, "key-1", &shop()).await.expect(201);
    assert_eq!(first.body, again.body);
    let rotated = rotate(&admin, "key-2").await.expect(200);
    app.pass(lease);
    let again = rotate(&admin, "key-2").await.expect(200);
    assert_eq!(rotated.body, again.body);
}
