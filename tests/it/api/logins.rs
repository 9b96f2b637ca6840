//! Login ids over HTTP: what is known, all devices, log out everywhere.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestApp, open};

#[tokio::test]
async fn a_login_that_was_never_seen_answers_with_zeros() {
    let app = TestApp::new();
    let expected = json!({"login_id": "nobody", "session_count": 0, "devices": [], "last_active_at": null,
        "online": false, "banned_until": null});
    assert_eq!(
        app.admin().get("/v1/logins/nobody").await.value(200),
        expected
    );
    assert_eq!(
        app.admin()
            .get("/v1/logins/nobody/sessions")
            .await
            .value(200),
        json!({"items": [], "next_cursor": null})
    );
    let ended = app
        .admin()
        .delete("/v1/logins/nobody/sessions")
        .await
        .value(200);
    let none = json!({"count": 0, "more": false, "cursor": null, "session_ids": []});
    assert_eq!(ended, none);
}

#[tokio::test]
async fn a_summary_counts_live_sessions_and_names_each_device_once() {
    let app = TestApp::new();
    let admin = app.admin();
    for device in ["web", "ios", "web"] {
        open(&admin, json!({"login_id": "us/er ä", "device": device})).await;
    }
    open(
        &admin,
        json!({"login_id": "us/er ä", "idle_timeout_seconds": 5}),
    )
    .await;
    app.pass(Duration::from_secs(6));
    let verified_at = app.now_text();
    let last = open(&admin, json!({"login_id": "us/er ä"})).await;
    let summary = admin.get("/v1/logins/us%2Fer%20%C3%A4").await.value(200);
    assert_eq!(summary["session_count"], 4);
    assert_eq!(summary["devices"], json!(["ios", "web"]));
    assert_eq!(summary["last_active_at"], verified_at);
    assert_eq!(
        admin
            .get("/v1/logins/us%2Fer%20%C3%A4/sessions?limit=1")
            .await
            .value(200)["items"][0]["session_id"],
        last.id
    );
}

#[tokio::test]
async fn of_more_than_1000_sessions_a_summary_looks_at_the_newest_and_says_so() {
    let app = TestApp::new();
    let admin = app.admin();
    let on =
        |device: &str| json!({"login_id": "u", "device": device, "idle_timeout_seconds": 86_400});
    open(&admin, on("tv")).await;
    for _ in 0..999 {
        open(&admin, on("web")).await;
    }
    let whole = admin.get("/v1/logins/u").await.value(200);
    assert_eq!(whole["devices"], json!(["tv", "web"]));
    assert_eq!(
        (&whole["session_count"], whole.get("partial")),
        (&json!(1_000), None)
    );
    open(&admin, on("web")).await;
    let partial = admin.get("/v1/logins/u").await.value(200);
    assert_eq!(partial["session_count"], 1_001);
    assert_eq!(partial["devices"], json!(["web"]));
    assert_eq!(partial["partial"], true);
}

#[tokio::test]
async fn log_out_everywhere_may_spare_one_session_or_keep_to_one_device() {
    let app = TestApp::new();
    let admin = app.admin();
    let web = open(&admin, json!({"login_id": "u", "device": "web"})).await;
    let ios = open(&admin, json!({"login_id": "u", "device": "ios"})).await;
    let current = open(&admin, json!({"login_id": "u", "device": "web"})).await;
    let bystander = open(&admin, json!({"login_id": "v"})).await;
    let ended = admin
        .delete("/v1/logins/u/sessions?device=ios&reason=admin")
        .await
        .value(200);
    assert_eq!(
        ended,
        json!({"count": 1, "more": false, "cursor": null, "session_ids": [ios.id]})
    );
    let ended = admin
        .delete(format!("/v1/logins/u/sessions?except={}", current.id))
        .await
        .value(200);
    assert_eq!(
        ended,
        json!({"count": 1, "more": false, "cursor": null, "session_ids": [web.id]})
    );
    assert_eq!(
        admin.get(ios.path()).await.problem(410, "session_ended")["ended"]["reason"],
        "admin"
    );
    assert_eq!(
        admin.get(web.path()).await.problem(410, "session_ended")["ended"]["reason"],
        "logout"
    );
    admin.get(current.path()).await.value(200);
    admin.get(bystander.path()).await.value(200);
}

#[tokio::test]
async fn a_misspelt_exception_logs_nobody_out() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    for query in [
        "excpet=x",
        "except=",
        "except=not-a-uuid",
        "device=a%20b",
        "reason=why",
        "except=a&except=b",
    ] {
        admin
            .delete(format!("/v1/logins/u/sessions?{query}"))
            .await
            .problem(400, "invalid_request");
    }
    admin.get(session.path()).await.value(200);
}

#[tokio::test]
async fn odd_login_ids_are_kept_apart_or_refused() {
    let app = TestApp::new();
    let admin = app.admin();
    let odd = [
        "a%20b",
        "a%2Fb",
        "%7Bx%7D",
        "a%3Ab",
        "%2525",
        "%E2%80%AEtxt",
        "*",
        "a%5Cb",
        "%252e%252e",
    ];
    for path in odd {
        let login = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .unwrap();
        open(&admin, json!({"login_id": login})).await;
        assert_eq!(
            admin.get(format!("/v1/logins/{path}")).await.value(200)["session_count"],
            1,
            "{path}"
        );
    }
    for path in [
        "%00",
        "%0d%0a",
        "%7f",
        &"x".repeat(257),
        "%FF",
        "%2e%2e",
        "%2e",
    ] {
        let answer = admin.get(format!("/v1/logins/{path}")).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 404),
            "{path} answered {}",
            answer.status.as_u16()
        );
    }
    assert_eq!(
        admin.get("/v1/sessions?total=true").await.value(200)["total"],
        Value::from(odd.len())
    );
}

#[tokio::test]
async fn what_is_not_percent_encoded_utf_8_is_refused_and_not_guessed() {
    let app = TestApp::new();
    let admin = app.admin();
    for path in [
        "/v1/logins/a%zz",
        "/v1/logins/a%2",
        "/v1/logins/a%",
        "/v1/logins/%ff",
        "/v1/sessions?login_id=%ff",
        "/v1/sessions?login_id=a%zz",
    ] {
        admin.get(path).await.problem(400, "invalid_request");
    }
}
