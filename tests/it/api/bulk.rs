//! Bulk deletion over HTTP.

use serde_json::json;

use crate::support::{TestApp, open};

#[tokio::test]
async fn what_matches_ends_with_the_reason_and_the_rest_lives() {
    let app = TestApp::new();
    let admin = app.admin();
    let web = open(&admin, json!({"login_id": "u", "device": "web"})).await;
    let ios = open(
        &admin,
        json!({"login_id": "u", "device": "ios", "connection_id": "c1", "client_ip": "203.0.113.7"}),
    )
    .await;
    let bulk = |body| admin.post("/v1/sessions/bulk-delete").json(&body);
    let filter = json!({"login_id": "u", "device": "ios", "connection_id": "c1", "client_ip": "203.0.113.7",
        "state": "active", "service_id": "admin", "created_after": "2026-01-01T00:00:00Z",
        "created_before": "2027-01-01T00:00:00Z", "active_after": "2026-01-01T00:00:00Z",
        "active_before": "2027-01-01T00:00:00Z"});
    let dry = bulk(json!({"filter": filter, "dry_run": true})).await;
    assert_eq!(dry.value(200), json!({"count": 1}));
    admin.get(ios.path()).await.value(200);
    let done = bulk(json!({"filter": filter, "reason": "admin"})).await;
    assert_eq!(done.value(200), json!({"count": 1}));
    let ended = admin.get(ios.path()).await.problem(410, "session_ended")["ended"].clone();
    assert_eq!(
        ended,
        json!({"reason": "admin", "at": app.now_text(), "by": "admin"})
    );
    admin.get(web.path()).await.value(200);
    let rest = bulk(json!({"filter": {"service_id": "admin"}})).await;
    assert_eq!(rest.value(200), json!({"count": 1}));
    let ended = admin.get(web.path()).await.problem(410, "session_ended")["ended"].clone();
    assert_eq!(ended["reason"], "logout");
}

#[tokio::test]
async fn a_filter_that_says_nothing_or_is_misspelt_ends_nothing() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    for body in [
        json!({}),
        json!({"filter": null}),
        json!({"filter": {}}),
        json!({"filter": {"login_id": null}}),
        json!({"filter": {"login_id": "u", "device": null}}),
        json!({"filter": {"login_id": "u", "state": null}}),
        json!({"filter": {"login_id": "u", "client_ip": null}}),
        json!({"filter": {"login_id": "u", "created_before": null}}),
        json!({"filter": {"login": "u"}}),
        json!({"filter": {"login_id": "u", "state": "busy"}}),
        json!({"filter": {"login_id": "u"}, "reason": "because"}),
        json!({"filter": {"login_id": "u"}, "dryrun": true}),
        json!({"filter": ["u"]}),
    ] {
        let refused = admin.post("/v1/sessions/bulk-delete").json(&body).await;
        refused.problem(400, "invalid_request");
    }
    admin.get(session.path()).await.value(200);
}

#[tokio::test]
async fn a_service_that_may_delete_its_own_ends_only_its_own() {
    let app = TestApp::new();
    let shop = app
        .service("shop", &["session.create", "session.delete:own"])
        .await;
    let own = open(&shop, json!({"login_id": "u"})).await;
    let other = open(&app.admin(), json!({"login_id": "u"})).await;
    let done = shop
        .post("/v1/sessions/bulk-delete")
        .json(&json!({"filter": {"login_id": "u"}}))
        .await;
    assert_eq!(done.value(200), json!({"count": 1}));
    app.admin()
        .get(own.path())
        .await
        .problem(410, "session_ended");
    app.admin().get(other.path()).await.value(200);
}
