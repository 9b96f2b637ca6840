//! The feed over HTTP: every change once, exact places, filters.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestApp, open};

fn types(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn each_change_is_one_event_with_names_and_never_values() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u", "device": "web"})).await;
    admin
        .put(session.at("/attributes/color"))
        .json(&json!("indigo"))
        .await
        .value(201);
    admin
        .patch(session.path())
        .json(&json!({"client_port": 7}))
        .await
        .value(200);
    admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": session.token}))
        .await
        .value(200);
    admin
        .post(session.at("/refresh"))
        .json(&json!({}))
        .await
        .value(200);
    admin
        .post(session.at("/heartbeat"))
        .json(&json!({}))
        .await
        .value(200);
    admin
        .delete(format!("{}?reason=admin", session.path()))
        .await
        .expect(204);
    admin.delete(session.path()).await.expect(204);
    let page = admin
        .get("/v1/events?types=session.created,session.changed,session.ended")
        .await
        .value(200);
    assert_eq!(
        types(&page),
        [
            "session.created",
            "session.changed",
            "session.changed",
            "session.ended"
        ]
    );
    let events = page["items"].as_array().unwrap();
    assert_eq!(events[0]["data"], json!({"device": "web"}));
    assert_eq!(
        events[1]["data"],
        json!({"version": 2, "attributes": ["color"], "fields": [], "by": "admin"})
    );
    assert_eq!(events[2]["data"]["fields"], json!(["client_port"]));
    assert_eq!(events[3]["data"], json!({"reason": "admin", "by": "admin"}));
    for event in events {
        assert_eq!(
            (&event["session_id"], &event["login_id"]),
            (&json!(session.id), &json!("u"))
        );
    }
    assert!(!page.to_string().contains("indigo"));
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_place_in_the_feed_is_exact_and_an_event_id_is_one_too() {
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..5 {
        open(&admin, json!({"login_id": "u"})).await;
    }
    let first = admin
        .get("/v1/events?types=session.created&limit=2")
        .await
        .value(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = admin
        .get(format!("/v1/events?types=session.created&after={cursor}"))
        .await
        .value(200);
    assert_eq!(
        first["items"].as_array().unwrap().len() + rest["items"].as_array().unwrap().len(),
        5
    );
    let last = first["items"][1]["id"].as_str().unwrap();
    let after_event = admin
        .get(format!("/v1/events?types=session.created&after={last}"))
        .await
        .value(200);
    assert_eq!(after_event["items"], rest["items"]);
    for query in [
        "after=%21",
        "after=p.%21",
        "after=a&cursor=b",
        "types=session.exploded",
        "types=",
        "limit=0",
    ] {
        admin
            .get(format!("/v1/events?{query}"))
            .await
            .problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn expiry_is_one_event_at_the_moment_of_expiry() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u", "idle_timeout_seconds": 5})).await;
    app.pass(Duration::from_secs(60));
    admin
        .get(session.path())
        .await
        .problem(410, "session_ended");
    app.sweep().await;
    app.sweep().await;
    let page = admin.get("/v1/events?types=session.ended").await.value(200);
    let events = page["items"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"], json!({"reason": "idle_timeout"}));
    assert_eq!(app.seconds_until(&events[0]["at"]), -55);
}

#[tokio::test]
async fn a_place_that_is_no_longer_kept_is_gone() {
    let app = TestApp::new();
    let admin = app.admin();
    open(&admin, json!({"login_id": "u"})).await;
    let first = admin.get("/v1/events?limit=1").await.value(200)["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for _ in 0..3 {
        open(&admin, json!({"login_id": "u"})).await;
    }
    app.pass(Duration::from_secs(25 * 3_600));
    open(&admin, json!({"login_id": "u"})).await;
    app.sweep().await;
    admin
        .get(format!("/v1/events?after={first}"))
        .await
        .problem(410, "cursor_expired");
    let kept = admin.get("/v1/events").await.value(200);
    assert!(types(&kept).contains(&"session.created"), "{kept}");
}
