//! Profiles that are put, read and forgotten.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, TestApp};

const PATH: &str = "/v1/logins/ana/profile";

async fn put(client: &Client, profile: &Value, ttl_seconds: u64) -> Value {
    let body = json!({"profile": profile, "ttl_seconds": ttl_seconds});
    client.put(PATH).json(&body).await.value(200)
}

#[tokio::test]
async fn a_profile_is_put_read_and_forgotten() {
    let app = TestApp::new();
    let admin = app.admin();
    let profile = json!({"name": "Ana", "roles": ["admin"], "address": {"city": null}});
    assert_eq!(
        put(&admin, &profile, 60).await,
        json!({"profile": profile, "ttl_seconds": 60})
    );
    let read = json!({
        "profile": profile, "ttl_seconds": 60, "expires_at": "2026-01-31T08:01:00.000Z", "stale": false,
    });
    let answer = admin.get(PATH).await;
    assert_eq!(answer.value(200), read);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(put(&admin, &json!({}), 1).await["profile"], json!({}));
    assert_eq!(admin.get(PATH).await.value(200)["profile"], json!({}));
    let removed = admin.delete(PATH).await.expect(204);
    assert!(removed.body.is_empty());
    admin.get(PATH).await.problem(404, "profile_not_found");
    admin.delete(PATH).await.problem(404, "profile_not_found");
}

#[tokio::test]
async fn a_profile_is_over_to_the_moment() {
    let app = TestApp::new();
    let admin = app.admin();
    put(&admin, &json!({"v": 1}), 60).await;
    app.pass(Duration::from_millis(59_999));
    assert_eq!(admin.get(PATH).await.value(200)["ttl_seconds"], 60);
    app.pass(Duration::from_millis(1));
    admin.get(PATH).await.problem(404, "profile_not_found");
    admin.delete(PATH).await.problem(404, "profile_not_found");
}

#[tokio::test]
async fn what_is_no_profile_is_refused() {
    let app = TestApp::new();
    let admin = app.admin();
    let sized = |bytes: usize| json!({"x": "x".repeat(bytes - 8)});
    for (body, pointer) in [
        (json!({"profile": {}}), ""),
        (json!({"ttl_seconds": 60}), ""),
        (
            json!({"profile": {}, "ttl_seconds": 60, "stale": false}),
            "/stale",
        ),
        (json!({"profile": {}, "ttl_seconds": 0}), "/ttl_seconds"),
        (json!({"profile": {}, "ttl_seconds": -1}), "/ttl_seconds"),
        (json!({"profile": {}, "ttl_seconds": 1.5}), "/ttl_seconds"),
        (json!({"profile": {}, "ttl_seconds": "60"}), "/ttl_seconds"),
        (
            json!({"profile": {}, "ttl_seconds": 2_592_001}),
            "/ttl_seconds",
        ),
        (json!({"profile": null, "ttl_seconds": 60}), "/profile"),
        (json!({"profile": "ana", "ttl_seconds": 60}), "/profile"),
        (json!({"profile": [], "ttl_seconds": 60}), "/profile"),
        (
            json!({"profile": sized(64 * 1024 + 1), "ttl_seconds": 60}),
            "/profile",
        ),
    ] {
        let refused = admin.put(PATH).json(&body).await;
        let problem = refused.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let twice = r#"{"profile": {"a": 1, "a": 2}, "ttl_seconds": 60}"#;
    let refused = admin.put(PATH).text("application/json", twice).await;
    refused.problem(400, "invalid_request");
    admin.get(PATH).await.problem(404, "profile_not_found");
    put(&admin, &sized(64 * 1024), 2_592_000).await;
    assert_eq!(
        admin.get(PATH).await.value(200)["profile"],
        sized(64 * 1024)
    );
}

#[tokio::test]
async fn profiles_belong_to_their_login_ids() {
    let admin = TestApp::new().admin();
    let paths = [
        "a%2Fb",
        "a%2F..%2Fb",
        "%7Blogin_id%7D",
        "%C3%A9",
        "x%3Fy%23z",
    ];
    for path in paths {
        let path = format!("/v1/logins/{path}/profile");
        let body = json!({"profile": {"of": path}, "ttl_seconds": 60});
        admin.put(&path).json(&body).await.expect(200);
    }
    for path in paths {
        let path = format!("/v1/logins/{path}/profile");
        assert_eq!(admin.get(&path).await.value(200)["profile"]["of"], path);
    }
    for bad in ["..", "%2E%2E", "a%0Ab"] {
        let path = format!("/v1/logins/{bad}/profile");
        admin.get(path).await.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_profile_says_nothing_about_sessions_and_tells_no_event() {
    let app = TestApp::new();
    let admin = app.admin();
    put(&admin, &json!({"name": "Ana"}), 60).await;
    admin.delete(PATH).await.expect(204);
    let feed = admin.get("/v1/events").await.value(200);
    let items = feed["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["login_id"].is_null()));
    let summary = admin.get("/v1/logins/ana").await.value(200);
    assert_eq!(summary["session_count"], 0);
}

#[tokio::test]
async fn reading_needs_less_than_writing() {
    let app = TestApp::new();
    let reader = app.service("reader", &["login.read"]).await;
    let manager = app.service("manager", &["login.manage"]).await;
    put(&manager, &json!({}), 60).await;
    reader.get(PATH).await.expect(200);
    let body = json!({"profile": {}, "ttl_seconds": 60});
    let refused = reader.put(PATH).json(&body).await;
    refused.problem(403, "permission_denied");
    reader.delete(PATH).await.problem(403, "permission_denied");
    manager.get(PATH).await.problem(403, "permission_denied");
}

#[tokio::test]
async fn without_a_loader_nothing_is_refreshed() {
    let admin = TestApp::new().admin();
    put(&admin, &json!({"v": 1}), 60).await;
    let refresh = admin.post("/v1/profiles/refresh");
    let body = json!({"login_ids": ["ana"], "ttl_seconds": 60});
    refresh
        .json(&body)
        .await
        .problem(409, "loader_not_configured");
    assert_eq!(admin.get(PATH).await.value(200)["profile"], json!({"v": 1}));
}
