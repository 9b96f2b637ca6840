//! Bans and kicking out over HTTP.

use std::time::Duration;

use serde_json::json;

use crate::support::{TestApp, open};

#[tokio::test]
async fn a_banned_login_has_no_session_and_opens_none() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    admin
        .get("/v1/logins/u/ban")
        .await
        .problem(404, "ban_not_found");
    let record = json!({"login_id": "u", "until": null, "reason": "spam", "at": app.now_text(), "by": "admin"});
    let banned = admin
        .put("/v1/logins/u/ban")
        .json(&json!({"reason": "spam"}))
        .await
        .value(200);
    let whole = json!({"ban": record, "count": 1, "more": false, "cursor": null});
    assert_eq!(banned, whole);
    assert_eq!(admin.get("/v1/logins/u/ban").await.value(200), record);
    assert_eq!(
        admin.get("/v1/logins/u").await.value(200)["banned_until"],
        "9999-12-31T23:59:59.999Z"
    );
    let ended = json!({"reason": "banned", "at": app.now_text(), "by": "admin", "detail": "spam"});
    assert_eq!(
        admin
            .get(session.path())
            .await
            .problem(410, "session_ended")["ended"],
        ended
    );
    admin
        .post("/v1/sessions")
        .json(&json!({"login_id": "u"}))
        .await
        .problem(403, "login_banned");
    admin.delete("/v1/logins/u/ban").await.expect(204);
    admin
        .delete("/v1/logins/u/ban")
        .await
        .problem(404, "ban_not_found");
    open(&admin, json!({"login_id": "u"})).await;
}

#[tokio::test]
async fn a_ban_ends_by_itself_and_must_end_in_the_future() {
    let app = TestApp::new();
    let admin = app.admin();
    let put = |until: &str| {
        admin
            .put("/v1/logins/u/ban")
            .json(&json!({"reason": "cool down", "until": until}))
    };
    let refused = put(&app.now_text()).await.problem(400, "invalid_request");
    assert_eq!(refused["errors"][0]["pointer"], "/until");
    admin
        .get("/v1/logins/u/ban")
        .await
        .problem(404, "ban_not_found");
    let until = "2026-01-31T08:00:10.000Z";
    assert_eq!(put(until).await.value(200)["ban"]["until"], until);
    assert_eq!(
        admin.get("/v1/logins/u").await.value(200)["banned_until"],
        until
    );
    app.pass(Duration::from_secs(10));
    open(&admin, json!({"login_id": "u"})).await;
    assert_eq!(
        admin.get("/v1/logins/u").await.value(200)["banned_until"],
        json!(null)
    );
}

#[tokio::test]
async fn a_ban_needs_a_reason_and_nothing_unknown() {
    let app = TestApp::new();
    let admin = app.admin();
    for body in [
        json!({}),
        json!({"reason": ""}),
        json!({"reason": "a\nb"}),
        json!({"reason": "x".repeat(513)}),
        json!({"reason": "x", "until": "tomorrow"}),
        json!({"reason": "x", "forever": true}),
    ] {
        let put = admin.put("/v1/logins/u/ban").json(&body);
        put.await.problem(400, "invalid_request");
    }
    admin
        .get("/v1/logins/u/ban")
        .await
        .problem(404, "ban_not_found");
}

#[tokio::test]
async fn bans_are_in_the_feed() {
    let app = TestApp::new();
    let admin = app.admin();
    let until = "2026-01-31T09:00:00.000Z";
    admin
        .put("/v1/logins/u/ban")
        .json(&json!({"reason": "spam", "until": until}))
        .await
        .value(200);
    admin.delete("/v1/logins/u/ban").await.expect(204);
    let feed = admin
        .get("/v1/events?types=login.banned,login.unbanned")
        .await
        .value(200);
    let data = |place: usize| feed["items"][place]["data"].clone();
    assert_eq!(
        data(0),
        json!({"detail": "spam", "until": until, "by": "admin"})
    );
    assert_eq!(data(1), json!({"by": "admin"}));
    assert_eq!(feed["items"][0]["login_id"], "u");
    assert_eq!(feed["items"][0]["session_id"], json!(null));
}

#[tokio::test]
async fn kicking_out_ends_the_sessions_and_tells_why() {
    let app = TestApp::new();
    let admin = app.admin();
    let web = open(&admin, json!({"login_id": "u", "device": "web"})).await;
    let ios = open(&admin, json!({"login_id": "u", "device": "ios"})).await;
    let kick_out = |body| admin.post("/v1/logins/u/kick-out").json(&body);
    let out = kick_out(json!({"reason": "lost phone", "device": "ios"})).await;
    assert_eq!(
        out.value(200),
        json!({"delivered": 0, "ended": 1, "more": false, "cursor": null})
    );
    let ended = admin.get(ios.path()).await.problem(410, "session_ended")["ended"].clone();
    assert_eq!(
        ended,
        json!({"reason": "kicked_out", "at": app.now_text(), "by": "admin", "detail": "lost phone"})
    );
    admin.get(web.path()).await.value(200);
    let out = kick_out(json!({"reason": "all out"})).await;
    assert_eq!(
        out.value(200),
        json!({"delivered": 0, "ended": 1, "more": false, "cursor": null})
    );
    let verified = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": web.token}))
        .await
        .value(200);
    assert_eq!(verified["reason"], "kicked_out");
    assert_eq!(verified["ended"]["detail"], "all out");
    kick_out(json!({})).await.problem(400, "invalid_request");
    open(&admin, json!({"login_id": "u"})).await;
}
