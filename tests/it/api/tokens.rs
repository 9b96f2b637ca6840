//! Tokens over HTTP: verify, introspect, revoke.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, open};

const FORM: &str = "application/x-www-form-urlencoded";

async fn form(client: &Client, path: &str, body: &str) -> Answer {
    client.post(path).text(FORM, body.to_owned()).await
}

#[tokio::test]
async fn a_good_token_shows_its_session_and_counts_as_use() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "u", "idle_timeout_seconds": 4, "attributes": {"role": "x"}}),
    )
    .await;
    app.pass(Duration::from_secs(3));
    let quiet = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": session.token, "touch": false}))
        .await
        .value(200);
    assert_eq!(
        (&quiet["active"], &quiet["remaining_seconds"]),
        (&json!(true), &json!(1))
    );
    let used = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": session.token}))
        .await
        .value(200);
    assert_eq!(used["session"]["attributes"], json!({"role": "x"}));
    assert_eq!(used["session"]["version"], 1);
    assert_eq!(used["session"]["last_active_at"], app.now_text());
    assert_eq!(used["remaining_seconds"], 4);
    assert_eq!(used.get("reason"), None);
    app.pass(Duration::from_secs(3));
    assert_eq!(
        admin.get(session.path()).await.value(200)["state"],
        "active"
    );
}

#[tokio::test]
async fn a_use_is_seen_at_once_though_it_is_written_later() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    app.pass(Duration::from_secs(60));
    let used = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": session.token}))
        .await
        .value(200);
    assert!(used["remaining_seconds"].as_u64().unwrap() <= 1_800);
    let read = admin.get(session.path()).await.value(200);
    assert_eq!(read["last_active_at"], app.now_text());
    assert_eq!(app.seconds_until(&read["idle_expires_at"]), 1_800);
}

#[tokio::test]
async fn a_token_that_is_not_good_says_why() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let unknown = json!({"active": false, "reason": "unknown_token"});
    let tampered = format!("{}A", &session.token[..session.token.len() - 1]);
    let other = format!("{}B", &session.token[..session.token.len() - 1]);
    let tampered = if tampered == session.token {
        other
    } else {
        tampered
    };
    for token in [
        "",
        "x",
        "sgw_",
        &"x".repeat(40),
        &"x".repeat(600),
        &tampered,
        "sgw_ä",
        session.id.as_str(),
    ] {
        let answer = admin
            .post("/v1/tokens/verify")
            .json(&json!({"token": token}))
            .await
            .value(200);
        assert_eq!(answer, unknown, "{token}");
    }
    admin.delete(session.path()).await.expect(204);
    let ended = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": session.token}))
        .await
        .value(200);
    assert_eq!(
        (&ended["active"], &ended["reason"]),
        (&json!(false), &json!("logout"))
    );
    assert_eq!(
        (&ended["ended"]["by"], &ended["ended"]["at"]),
        (&json!("admin"), &json!(app.now_text()))
    );
    let tampered = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": tampered}))
        .await
        .value(200);
    assert_eq!(tampered, unknown);
    for wrong in [
        json!({}),
        json!({"token": 1}),
        json!({"token": "x", "toch": true}),
        json!({"token": "x", "touch": "yes"}),
    ] {
        admin
            .post("/v1/tokens/verify")
            .json(&wrong)
            .await
            .problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn introspection_speaks_rfc_7662_and_extends_nothing() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "user@example.com", "idle_timeout_seconds": 60}),
    )
    .await;
    app.pass(Duration::from_secs(10));
    let body = format!("token={}&token_type_hint=access_token", session.token);
    let answer = form(&admin, "/v1/tokens/introspect", &body)
        .await
        .value(200);
    let read = admin.get(session.path()).await.value(200);
    assert_eq!(
        (&answer["active"], &answer["sub"]),
        (&json!(true), &json!("user@example.com"))
    );
    assert_eq!(
        (&answer["sid"], &answer["client_id"]),
        (&json!(session.id), &json!("admin"))
    );
    assert_eq!(
        answer["exp"].as_i64().unwrap() - answer["iat"].as_i64().unwrap(),
        60
    );
    assert_eq!(app.seconds_until(&read["expires_at"]), 50);
    assert_eq!(
        form(&admin, "/v1/tokens/introspect", "token=nonsense")
            .await
            .value(200),
        json!({"active": false})
    );
    form(&admin, "/v1/tokens/introspect", "tok=1")
        .await
        .problem(400, "invalid_request");
    admin
        .post("/v1/tokens/introspect")
        .json(&json!({"token": "x"}))
        .await
        .problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn revocation_answers_known_and_unknown_tokens_alike() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let body = format!("token={}", session.token);
    for body in [
        body.as_str(),
        body.as_str(),
        "token=nonsense",
        &format!("token={}", "x".repeat(40)),
    ] {
        form(&admin, "/v1/tokens/revoke", body).await.expect(200);
    }
    let gone = admin
        .get(session.path())
        .await
        .problem(410, "session_ended");
    assert_eq!(
        (&gone["ended"]["reason"], &gone["ended"]["by"]),
        (&json!("logout"), &json!("admin"))
    );
}

#[tokio::test]
async fn no_answer_but_the_first_shows_a_token() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let random_part = &session.token[4 + 22..];
    let answers = [
        admin.get(session.path()).await.text(),
        admin.get("/v1/sessions").await.text(),
        admin.get("/v1/logins/u/sessions").await.text(),
        admin.get("/v1/events").await.text(),
        admin
            .post("/v1/tokens/verify")
            .json(&json!({"token": session.token}))
            .await
            .text(),
        form(
            &admin,
            "/v1/tokens/introspect",
            &format!("token={}", session.token),
        )
        .await
        .text(),
    ];
    for answer in answers {
        assert!(!answer.contains(random_part), "{answer}");
        assert!(!answer.contains("hash"), "{answer}");
    }
    let echoed = admin
        .post("/v1/sessions")
        .json(&json!({"login_id": [session.token]}))
        .await
        .problem(400, "invalid_request");
    assert!(!Value::to_string(&echoed).contains(random_part));
}
