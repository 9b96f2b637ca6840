//! Rotation of tokens over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, open};

const GRACE: Duration = Duration::from_secs(30);

async fn rotate(client: &Client, token: &str) -> Answer {
    let call = client.post("/v1/tokens/rotate");
    call.json(&json!({"token": token})).await
}

/// The successor of a token that is good.
async fn successor(client: &Client, token: &str) -> String {
    let rotated = rotate(client, token).await.value(200);
    rotated["token"].as_str().unwrap().to_owned()
}

async fn verify(client: &Client, token: &str) -> Value {
    let call = client.post("/v1/tokens/verify");
    call.json(&json!({"token": token})).await.value(200)
}

#[tokio::test]
async fn a_token_gets_one_successor_and_stays_good_for_its_grace() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u", "attributes": {"n": 1}})).await;
    let rotated = rotate(&admin, &session.token).await.value(200);
    let read = admin.get(session.path()).await.value(200);
    assert_eq!(rotated["session"], read);
    let token = rotated["token"].as_str().unwrap();
    assert!(token.starts_with("sgw_") && token != session.token);
    assert_eq!(successor(&admin, &session.token).await, token);
    app.pass(GRACE - Duration::from_millis(1));
    assert_eq!(successor(&admin, &session.token).await, token);
    for token in [token, &session.token] {
        assert_eq!(
            verify(&admin, token).await["session"]["session_id"],
            *session.id
        );
    }
    app.pass(Duration::from_millis(1));
    let inactive = json!({"active": false, "reason": "unknown_token"});
    assert_eq!(verify(&admin, &session.token).await, inactive);
    assert_eq!(verify(&admin, token).await["active"], true);
    let events = admin
        .get("/v1/events?types=session.rotated")
        .await
        .value(200);
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["session_id"], *session.id);
    assert_eq!(events[0]["data"], json!({"by": "admin"}));
}

#[tokio::test]
async fn a_rotated_token_that_is_rotated_again_after_its_grace_ends_the_session() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let token = successor(&admin, &session.token).await;
    assert_eq!(verify(&admin, &token).await["active"], true);
    app.pass(GRACE);
    for _ in 0..2 {
        let reused = rotate(&admin, &session.token).await;
        let problem = reused.problem(410, "session_ended");
        let ended = json!({"reason": "token_reuse", "at": app.now_text(), "by": "admin"});
        assert_eq!(problem["ended"], ended);
    }
    assert_eq!(verify(&admin, &token).await["reason"], "token_reuse");
    rotate(&admin, &token).await.problem(410, "session_ended");
}

#[tokio::test]
async fn any_other_string_is_not_found_and_changes_nothing() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let forged = format!("{}{}", &session.token[..40], "A".repeat(28));
    for text in ["", "x", "sgw_", &"x".repeat(40), &"x".repeat(600), &forged] {
        rotate(&admin, text).await.problem(404, "token_not_found");
    }
    for wrong in [
        json!({}),
        json!({"token": 1}),
        json!({"token": "x", "more": 1}),
    ] {
        let call = admin.post("/v1/tokens/rotate").json(&wrong);
        call.await.problem(400, "invalid_request");
    }
    assert_eq!(verify(&admin, &session.token).await["active"], true);
}

#[tokio::test]
async fn a_service_rotates_only_tokens_in_its_sight() {
    let app = TestApp::new();
    let admin = app.admin();
    let shop = app
        .service("shop", &["session.create", "session.update:own"])
        .await;
    let others = open(&admin, json!({"login_id": "u"})).await;
    rotate(&shop, &others.token)
        .await
        .problem(404, "token_not_found");
    successor(&admin, &others.token).await;
    app.pass(GRACE);
    rotate(&shop, &others.token)
        .await
        .problem(404, "token_not_found");
    admin.get(others.path()).await.expect(200);
    let own = open(&shop, json!({"login_id": "u"})).await;
    rotate(&shop, &own.token).await.expect(200);
}

#[tokio::test]
async fn a_token_that_was_brought_is_rotated_into_one_of_the_gateways_own() {
    let app = TestApp::new();
    let admin = app.admin();
    let brought = "a-token-of-a-login-framework-for-u";
    let create = json!({"login_id": "u", "token": brought});
    let session = open(&admin, create.clone()).await;
    let token = successor(&admin, brought).await;
    assert!(token.starts_with("sgw_"));
    assert_eq!(
        verify(&admin, &token).await["session"]["session_id"],
        *session.id
    );
    let again = admin.post("/v1/sessions").json(&create).await;
    again.problem(409, "token_in_use");
}

#[tokio::test]
async fn one_key_rotates_once() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let send = || {
        let call = admin
            .post("/v1/tokens/rotate")
            .header("idempotency-key", "k");
        call.json(&json!({"token": session.token}))
    };
    let first = send().await.value(200);
    app.pass(GRACE * 2);
    assert_eq!(send().await.value(200), first);
    admin.get(session.path()).await.expect(200);
}

#[tokio::test]
async fn verify_announces_when_a_token_should_be_rotated() {
    let app = TestApp::with(&[("SGW_ROTATE_AFTER", "10m"), ("SGW_ROTATE_GRACE", "1m")]);
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    app.pass(Duration::from_secs(60));
    let told = verify(&admin, &session.token).await;
    assert_eq!(app.seconds_until(&told["rotate_after"]), 540);
    let token = successor(&admin, &session.token).await;
    let told = verify(&admin, &token).await;
    assert_eq!(app.seconds_until(&told["rotate_after"]), 600);
    app.pass(Duration::from_secs(30));
    let told = verify(&admin, &session.token).await;
    assert_eq!(app.seconds_until(&told["rotate_after"]), -30);
    let app = TestApp::new();
    let session = open(&app.admin(), json!({"login_id": "u"})).await;
    let told = verify(&app.admin(), &session.token).await;
    assert_eq!(told.get("rotate_after"), None);
}

#[tokio::test]
async fn neither_token_stands_in_any_other_answer() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let token = successor(&admin, &session.token).await;
    for answer in [
        admin.get(session.path()).await.text(),
        admin.get("/v1/events").await.text(),
        verify(&admin, &token).await.to_string(),
    ] {
        for token in [&token, &session.token] {
            assert!(!answer.contains(&token[4 + 22..]), "{answer}");
        }
        assert!(!answer.contains("sealed"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_ends_no_session() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let lost = successor(&admin, &session.token).await;
    let explain = admin.post("/v1/auth/explain");
    let explain = explain.json(&json!({"proxy": "nginx", "token": lost}));
    assert_eq!(explain.await.value(200)["status"], 200);
    app.pass(GRACE * 2);
    assert_eq!(verify(&admin, &session.token).await["active"], false);
    let token = successor(&admin, &session.token).await;
    assert_ne!(token, lost);
    assert_eq!(successor(&admin, &session.token).await, token);
    assert_eq!(verify(&admin, &lost).await["active"], false);
    for introspected in [false, true] {
        let verified = if introspected {
            let call = admin.post("/v1/tokens/introspect");
            let form = format!("token={token}");
            let call = call.text("application/x-www-form-urlencoded", form);
            call.await.value(200)
        } else {
            verify(&admin, &token).await
        };
        assert_eq!(verified["active"], true);
    }
    // Whoever found the answer after all was the second one.
    rotate(&admin, &lost).await.problem(410, "session_ended");
    assert_eq!(verify(&admin, &token).await["reason"], "token_reuse");
}
