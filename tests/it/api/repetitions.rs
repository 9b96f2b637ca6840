//! Requests that are sent again with their `Idempotency-Key`: what cannot be made again is answered as the first time, and
//! beside it what it is about as it is by then.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Client, Opened, TestApp, open};

const TOMBSTONE: Duration = Duration::from_secs(60 * 60);

async fn send(client: &Client, path: &str, body: &Value) -> Answer {
    let call = client.post(path).header("Idempotency-Key", "k");
    call.json(body).await
}

/// Changes a session, and gives it as it is then.
async fn changed(client: &Client, session: &Opened) -> Value {
    let merge = json!({"late": true});
    let patch = client.patch(session.at("/attributes")).json(&merge);
    patch.await.expect(200);
    client.get(session.path()).await.value(200)
}

/// Sends the same once more while the session lives, when it has ended, and when nothing is known of it any more.
async fn outlives(app: &TestApp, path: &str, body: &Value, session: &Opened, lives: u16) {
    let admin = app.admin();
    let now = changed(&admin, session).await;
    let again = send(&admin, path, body).await;
    let told = again.value(lives);
    let shown = if told["session"].is_null() {
        &told
    } else {
        &told["session"]
    };
    assert_eq!(*shown, now);
    admin.delete(session.path()).await.expect(204);
    let ended = send(&admin, path, body).await;
    assert_eq!(
        ended.problem(410, "session_ended")["ended"]["reason"],
        "logout"
    );
    app.pass(TOMBSTONE);
    app.sweep().await;
    let forgotten = send(&admin, path, body).await;
    let problem = forgotten.problem(410, "session_ended");
    assert_eq!(problem.get("ended"), None);
}

#[tokio::test]
async fn a_create_names_the_same_session_token_and_evicted_and_shows_the_session_as_it_is() {
    let app = TestApp::new();
    let admin = app.admin();
    let gone = open(&admin, json!({"login_id": "u"})).await;
    let body = json!({"login_id": "u", "limit": {"max": 1}});
    let first = send(&admin, "/v1/sessions", &body).await;
    let created = first.value(201);
    assert_eq!(created["evicted"], json!([gone.id]));
    let session = Opened::of(&created);
    changed(&admin, &session).await;
    let again = send(&admin, "/v1/sessions", &body).await;
    for same in ["token", "evicted"] {
        assert_eq!(again.value(201)[same], created[same]);
    }
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("etag"), "\"2\"");
    let summary = admin.get("/v1/logins/u").await.value(200);
    assert_eq!(summary["session_count"], 1);
}

#[tokio::test]
async fn a_create_is_not_answered_with_a_session_that_is_over() {
    let app = TestApp::new();
    let body = json!({"login_id": "u"});
    let created = send(&app.admin(), "/v1/sessions", &body).await.value(201);
    let session = Opened::of(&created);
    outlives(&app, "/v1/sessions", &body, &session, 201).await;
}

#[tokio::test]
async fn a_refresh_is_not_made_again() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let path = session.at("/refresh");
    let body = json!({"ttl_seconds": 1_200});
    let first = send(&admin, &path, &body).await.value(200);
    app.pass(Duration::from_secs(60));
    let again = send(&admin, &path, &body).await.value(200);
    assert_eq!(again["expires_at"], first["expires_at"]);
    outlives(&app, &path, &body, &session, 200).await;
}

#[tokio::test]
async fn a_rotation_gives_the_same_token_after_any_grace() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let body = json!({"token": session.token});
    let first = send(&admin, "/v1/tokens/rotate", &body).await.value(200);
    let verify = json!({"token": first["token"]});
    let verified = admin.post("/v1/tokens/verify").json(&verify).await;
    assert_eq!(verified.value(200)["active"], true);
    app.pass(Duration::from_secs(600));
    let again = send(&admin, "/v1/tokens/rotate", &body).await.value(200);
    assert_eq!(again["token"], first["token"]);
    outlives(&app, "/v1/tokens/rotate", &body, &session, 200).await;
}

#[tokio::test]
async fn a_registration_shows_the_same_secret_and_the_service_as_it_is() {
    let app = TestApp::new();
    let admin = app.admin();
    let body = json!({"service_id": "shop", "service_name": "Shop", "permissions": []});
    let first = send(&admin, "/v1/services", &body).await.value(201);
    let rename = json!({"service_name": "Store"});
    let renamed = admin.patch("/v1/services/shop").json(&rename).await;
    let again = send(&admin, "/v1/services", &body).await.value(201);
    assert_eq!(again["secret"], first["secret"]);
    assert_eq!(again["service"], renamed.value(200));

    let rotation = "/v1/services/shop/rotate-secret";
    let rotated = send(&admin, rotation, &json!({})).await.value(200);
    admin
        .patch("/v1/services/shop")
        .json(&rename)
        .await
        .expect(200);
    let again = send(&admin, rotation, &json!({})).await.value(200);
    assert_eq!(again["secret"], rotated["secret"]);

    admin.delete("/v1/services/shop").await.expect(204);
    for registered_again in [false, true] {
        if registered_again {
            app.pass(Duration::from_secs(1));
            app.service("shop", &[]).await;
        }
        for (path, body) in [("/v1/services", &body), (rotation, &json!({}))] {
            let again = send(&admin, path, body).await;
            again.problem(404, "service_not_found");
        }
    }
}

#[tokio::test]
async fn a_bulk_deletion_with_a_key_names_no_more_sessions_than_are_kept() {
    let app = TestApp::new();
    let admin = app.admin();
    for number in 0..300 {
        open(
            &admin,
            json!({"login_id": format!("u{number}"), "device": "tv"}),
        )
        .await;
    }
    let body = json!({"filter": {"device": "tv"}});
    let path = "/v1/sessions/bulk-delete".to_owned();
    let first = send(&admin, &path, &body).await.value(200);
    assert_eq!(
        (&first["count"], &first["more"]),
        (&json!(50), &json!(true))
    );
    assert_eq!(send(&admin, &path, &body).await.value(200), first);
    let left = admin
        .get("/v1/sessions?total=true&limit=1")
        .await
        .value(200);
    assert_eq!(left["total"], 250);
}

#[tokio::test]
async fn what_is_small_whatever_is_asked_is_answered_as_the_first_time() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let calls = [
        (session.at("/heartbeat"), json!({})),
        (session.at("/attributes/n/increment"), json!({"by": 2})),
        (
            "/v1/logins/u/kick-out".to_owned(),
            json!({"reason": "noise"}),
        ),
        (
            "/v1/sessions/bulk-delete".to_owned(),
            json!({"filter": {"login_id": "u"}}),
        ),
    ];
    let mut first = Vec::new();
    for (path, body) in &calls {
        first.push(send(&admin, path, body).await.value(200));
    }
    app.pass(Duration::from_secs(1));
    open(&admin, json!({"login_id": "u"})).await;
    for ((path, body), first) in calls.iter().zip(first) {
        assert_eq!(send(&admin, path, body).await.value(200), first, "{path}");
    }
    let summary = admin.get("/v1/logins/u").await.value(200);
    assert_eq!(summary["session_count"], 1, "nothing was done again");
}

#[tokio::test]
async fn an_answer_without_bound_takes_no_key_whatever_else_is_wrong() {
    let app = TestApp::new();
    let stranger = app.service("stranger", &[]).await;
    for (client, key) in [(app.admin(), "k"), (stranger, "not one key")] {
        let call = client.post("/v1/profiles/refresh?odd=1");
        let refused = call.header("Idempotency-Key", key).json(&json!([])).await;
        refused.problem(400, "idempotency_not_possible");
    }
}
