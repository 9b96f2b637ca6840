//! Sessions over HTTP: open, read, list, change, refresh, heartbeat, end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestApp, open};

#[tokio::test]
async fn an_opened_session_is_answered_whole_and_read_back_by_another_service() {
    let app = TestApp::new();
    let (writer, reader) = (
        app.service("writer", &["session.*"]).await,
        app.service("reader", &["session.read"]).await,
    );
    let request = json!({
        "login_id": "user123", "device": "web", "device_id": "laptop", "attributes": {"role": "admin"},
        "client_ip": "203.0.113.7", "client_port": 54321, "user_agent": "curl/8", "connection_id": "c1",
        "server_addr": "edge:443", "idle_timeout_seconds": 60, "max_age_seconds": 600,
    });
    let answer = writer.post("/v1/sessions").json(&request).await;
    let created = answer.value(201);
    let session = &created["session"];
    let id = session["session_id"].as_str().unwrap();
    assert_eq!(
        answer.header("location"),
        format!("/v1/sessions/{id}").as_str()
    );
    assert_eq!(answer.header("etag"), "\"1\"");
    assert!(created["token"].as_str().unwrap().starts_with("sgw_"));
    assert_eq!(created["evicted"], json!([]));
    let names: Vec<&str> = session
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = vec![
        "session_id",
        "login_id",
        "service_id",
        "device",
        "device_id",
        "state",
        "connection_id",
        "client_ip",
        "client_port",
        "user_agent",
        "server_addr",
        "attributes",
        "stats",
        "version",
        "created_at",
        "last_active_at",
        "expires_at",
        "idle_expires_at",
        "max_expires_at",
    ];
    expected.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(
        (&session["state"], &session["service_id"]),
        (&json!("active"), &json!("writer"))
    );
    assert_eq!(session["expires_at"], session["idle_expires_at"]);

    let read = reader.get(format!("/v1/sessions/{id}")).await;
    assert_eq!(read.value(200), *session);
    assert_eq!(read.header("etag"), "\"1\"");
    assert_eq!(read.header("cache-control"), "no-store");
}

#[tokio::test]
async fn what_a_create_may_not_say_is_refused_by_name() {
    let app = TestApp::new();
    let admin = app.admin();
    let long = "x".repeat(257);
    for (request, pointer) in [
        (json!({}), ""),
        (json!({"login_id": ""}), "/login_id"),
        (json!({"login_id": ".."}), "/login_id"),
        (json!({"login_id": "a\u{0}b"}), "/login_id"),
        (json!({"login_id": "a\r\nb"}), "/login_id"),
        (json!({"login_id": long}), "/login_id"),
        (json!({"login_id": 7}), "/login_id"),
        (
            json!({"login_id": "u", "session_id": "mine"}),
            "/session_id",
        ),
        (json!({"login_id": "u", "device": "a b"}), "/device"),
        (json!({"login_id": "u", "state": "idle"}), "/state"),
        (json!({"login_id": "u", "state": "closed"}), "/state"),
        (json!({"login_id": "u", "token": "short"}), "/token"),
        (
            json!({"login_id": "u", "token": format!("sgw_{}", "x".repeat(64))}),
            "/token",
        ),
        (
            json!({"login_id": "u", "client_ip": "nowhere"}),
            "/client_ip",
        ),
        (
            json!({"login_id": "u", "client_port": 65536}),
            "/client_port",
        ),
        (
            json!({"login_id": "u", "idle_timeout_seconds": 0}),
            "/idle_timeout_seconds",
        ),
        (
            json!({"login_id": "u", "max_age_seconds": 2_592_001}),
            "/max_age_seconds",
        ),
        (json!({"login_id": "u", "limit": {"max": 0}}), "/limit/max"),
        (
            json!({"login_id": "u", "limit": [1, "login", "refuse"]}),
            "/limit",
        ),
        (
            json!({"login_id": "u", "limit": {"max": 1, "per": {"login": null}}}),
            "/limit/per",
        ),
        (
            json!({"login_id": "u", "state": {"active": null}}),
            "/state",
        ),
        (
            json!({"login_id": "u", "limit": {"max": 1, "per": "planet"}}),
            "/limit/per",
        ),
        (
            json!({"login_id": "u", "attributes": {"..": 1}}),
            "/attributes",
        ),
    ] {
        let answer = admin.post("/v1/sessions").json(&request).await;
        let problem = answer.problem(400, "invalid_request");
        let found = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(
            found.starts_with(pointer),
            "{request} was refused at {found:?}: {problem}"
        );
    }
    assert_eq!(
        admin.get("/v1/sessions?total=true").await.value(200)["total"],
        0
    );
}

#[tokio::test]
async fn a_body_that_can_be_read_two_ways_is_refused() {
    let app = TestApp::new();
    let admin = app.admin();
    for body in [
        r#"{"login_id":"a","login_id":"b"}"#,
        r#"{"login_id":"a","attributes":{"x":1,"x":2}}"#,
        r#"{"login_id":"a","attributes":{"x":{"y":1,"\u0079":2}}}"#,
        r#"{"login_id":"a","attributes":{"x":"\ud800"}}"#,
        "{\"login_id\":\"a\"} trailing",
        "\u{feff}{\"login_id\":\"a\"}",
        "",
        "[]",
    ] {
        admin
            .post("/v1/sessions")
            .text("application/json", body)
            .await
            .problem(400, "invalid_request");
    }
    admin
        .post("/v1/sessions")
        .text("text/plain", "{}")
        .await
        .problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_caller_may_bring_an_unused_token_once() {
    let app = TestApp::new();
    let admin = app.admin();
    let token = "a-token-of-a-login-framework-of-its-own";
    let request = json!({"login_id": "u", "token": token});
    let created = admin.post("/v1/sessions").json(&request).await.value(201);
    assert_eq!(created["token"], token);
    admin
        .post("/v1/sessions")
        .json(&request)
        .await
        .problem(409, "token_in_use");
    let verified = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": token}))
        .await
        .value(200);
    assert_eq!(
        verified["session"]["session_id"],
        created["session"]["session_id"]
    );
    let id = created["session"]["session_id"].as_str().unwrap();
    admin.delete(format!("/v1/sessions/{id}")).await.expect(204);
    admin
        .post("/v1/sessions")
        .json(&request)
        .await
        .problem(409, "token_in_use");
    app.pass(Duration::from_secs(2 * 3_600));
    admin.post("/v1/sessions").json(&request).await.value(201);
}

#[tokio::test]
async fn a_limit_names_the_sessions_that_gave_way() {
    let app = TestApp::new();
    let admin = app.admin();
    let first = open(&admin, json!({"login_id": "u", "device": "web"})).await;
    let phone = open(&admin, json!({"login_id": "u", "device": "ios"})).await;
    let per_device = json!({"login_id": "u", "device": "web", "limit": {"max": 1, "per": "device", "overflow": "evict_oldest"}});
    let second = admin
        .post("/v1/sessions")
        .json(&per_device)
        .await
        .value(201);
    assert_eq!(second["evicted"], json!([first.id]));
    let gone = admin.get(first.path()).await.problem(410, "session_ended");
    assert_eq!(
        (&gone["ended"]["reason"], &gone["ended"]["by"]),
        (&json!("replaced"), &json!("admin"))
    );
    admin.get(phone.path()).await.value(200);

    let refuse =
        json!({"login_id": "u", "limit": {"max": 2, "per": "login", "overflow": "refuse"}});
    admin
        .post("/v1/sessions")
        .json(&refuse)
        .await
        .problem(409, "session_limit_reached");

    app.pass(Duration::from_secs(5));
    admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": phone.token}))
        .await
        .value(200);
    let quiet = json!({"login_id": "u", "limit": {"max": 2, "per": "login", "overflow": "evict_least_active"}});
    let third = admin.post("/v1/sessions").json(&quiet).await.value(201);
    assert_eq!(third["evicted"], json!([second["session"]["session_id"]]));
}

#[tokio::test]
async fn an_idle_session_dies_to_the_millisecond_and_reading_does_not_save_it() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "u", "idle_timeout_seconds": 2, "max_age_seconds": 5}),
    )
    .await;
    app.pass(Duration::from_millis(1_999));
    let last = admin.get(session.path()).await.value(200);
    app.pass(Duration::from_millis(1));
    let gone = admin
        .get(session.path())
        .await
        .problem(410, "session_ended");
    assert_eq!(
        gone["ended"],
        json!({"reason": "idle_timeout", "at": last["expires_at"], "by": null})
    );
}

#[tokio::test]
async fn nothing_carries_a_session_past_its_greatest_age() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "u", "idle_timeout_seconds": 2, "max_age_seconds": 5}),
    )
    .await;
    for _ in 0..9 {
        app.pass(Duration::from_millis(500));
        admin
            .post(session.at("/refresh"))
            .json(&json!({"ttl_seconds": 99_999}))
            .await
            .value(200);
        admin
            .post(session.at("/heartbeat"))
            .json(&json!({}))
            .await
            .value(200);
        admin
            .put(session.at("/attributes/beat"))
            .json(&json!(1))
            .await;
        let verified = admin
            .post("/v1/tokens/verify")
            .json(&json!({"token": session.token}))
            .await
            .value(200);
        assert!(
            verified["remaining_seconds"].as_u64().unwrap() <= 5,
            "{verified}"
        );
    }
    app.pass(Duration::from_millis(500));
    let gone = admin
        .get(session.path())
        .await
        .problem(410, "session_ended");
    assert_eq!(gone["ended"]["reason"], "max_age");
    let verified = admin
        .post("/v1/tokens/verify")
        .json(&json!({"token": session.token}))
        .await
        .value(200);
    assert_eq!(
        (&verified["active"], &verified["reason"]),
        (&json!(false), &json!("max_age"))
    );
}

#[tokio::test]
async fn refresh_moves_the_idle_expiry_and_not_the_version() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "u", "idle_timeout_seconds": 60, "max_age_seconds": 600}),
    )
    .await;
    app.pass(Duration::from_secs(10));
    let answer = admin.post(session.at("/refresh")).await;
    let longer = answer.value(200);
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(app.seconds_until(&longer["expires_at"]), 60);
    let shorter = admin
        .post(session.at("/refresh"))
        .json(&json!({"ttl_seconds": 5}))
        .await
        .value(200);
    assert_eq!(app.seconds_until(&shorter["expires_at"]), 5);
    admin
        .post(session.at("/refresh"))
        .json(&json!({"ttl_seconds": 0}))
        .await
        .problem(400, "invalid_request");
    admin
        .post(session.at("/refresh"))
        .json(&json!({"ttl": 5}))
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn states_are_set_by_callers_and_idle_is_derived() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u", "state": "connecting"})).await;
    let beat = admin.post(session.at("/heartbeat")).json(&json!({"stats": {
        "packets_sent": 1, "packets_received": 2, "bytes_sent": 3, "bytes_received": 4, "retransmissions": 5, "rtt_ms": 6,
    }})).await.value(200);
    assert_eq!(
        (&beat["state"], &beat["remaining_seconds"]),
        (&json!("active"), &json!(1_800))
    );
    assert_eq!(beat["server_time"], app.now_text());
    let read = admin.get(session.path()).await.value(200);
    assert_eq!(
        (&read["version"], &read["stats"]["rtt_ms"]),
        (&json!(2), &json!(6))
    );
    admin
        .post(session.at("/heartbeat"))
        .json(&json!({}))
        .await
        .value(200);
    assert_eq!(admin.get(session.path()).await.value(200)["version"], 2);

    app.pass(Duration::from_secs(300));
    assert_eq!(admin.get(session.path()).await.value(200)["state"], "idle");
    assert_eq!(
        admin.get("/v1/sessions?state=idle").await.value(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    admin
        .patch(session.path())
        .json(&json!({"state": "idle"}))
        .await
        .problem(400, "invalid_request");
    let going = admin
        .patch(session.path())
        .json(&json!({"state": "disconnecting"}))
        .await
        .value(200);
    assert_eq!(
        (&going["state"], &going["version"]),
        (&json!("disconnecting"), &json!(3))
    );
    let closed = admin
        .patch(session.path())
        .json(&json!({"state": "closed"}))
        .await
        .value(200);
    assert_eq!(
        (&closed["state"], &closed["version"]),
        (&json!("closed"), &json!(4))
    );
    admin
        .patch(session.path())
        .json(&json!({"state": "active"}))
        .await
        .problem(410, "session_ended");
}

#[tokio::test]
async fn a_patch_keeps_what_it_does_not_name_and_clears_what_it_nulls() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "u", "device": "web", "client_ip": "::1", "connection_id": "c"}),
    )
    .await;
    let patch = json!({"client_ip": null, "user_agent": "x", "client_port": 1});
    let patched = admin.patch(session.path()).json(&patch).await.value(200);
    assert_eq!(
        (&patched["client_ip"], &patched["user_agent"]),
        (&Value::Null, &json!("x"))
    );
    assert_eq!(
        (&patched["device"], &patched["connection_id"]),
        (&json!("web"), &json!("c"))
    );
    for wrong in [
        json!({"login_id": "v"}),
        json!({"version": 9}),
        json!({"expires_at": "2099-01-01T00:00:00Z"}),
        json!({"state": null}),
        json!({"state": {"active": null}}),
        json!({"stats": [1, 2, 3, 4, 5, 6]}),
        json!({"attributes": {}}),
        json!({"state": "closed", "device": "web"}),
    ] {
        admin
            .patch(session.path())
            .json(&wrong)
            .await
            .problem(400, "invalid_request");
    }
    assert_eq!(admin.get(session.path()).await.value(200)["version"], 2);
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    admin
        .patch(session.path())
        .header("If-Match", "\"7\"")
        .json(&json!({"device": "x"}))
        .await
        .problem(412, "version_conflict");
    admin
        .patch(session.at("/attributes"))
        .header("If-Match", "\"7\"")
        .json(&json!({"a": 1}))
        .await
        .problem(412, "version_conflict");
    admin
        .put(session.at("/attributes/a"))
        .header("If-Match", "\"7\"")
        .json(&json!(1))
        .await
        .problem(412, "version_conflict");
    admin
        .post(session.at("/refresh"))
        .header("If-Match", "\"7\"")
        .json(&json!({}))
        .await
        .problem(412, "version_conflict");
    admin
        .delete(session.path())
        .header("If-Match", "\"7\"")
        .await
        .problem(412, "version_conflict");
    assert_eq!(admin.get(session.path()).await.value(200)["version"], 1);
    for malformed in ["7", "W/\"1\"", "\"x\"", "\"1", ""] {
        let answer = admin
            .patch(session.path())
            .header("If-Match", malformed)
            .json(&json!({"device": "x"}))
            .await;
        answer.problem(400, "invalid_request");
    }
    admin
        .patch(session.path())
        .header("If-Match", "\"1\"")
        .json(&json!({"device": "x"}))
        .await
        .value(200);
    admin
        .patch(session.path())
        .header("If-Match", "*")
        .json(&json!({"device": "y"}))
        .await
        .value(200);
    admin
        .get(session.path())
        .header("If-Match", "\"3\"")
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn an_ended_session_stays_ended_whatever_is_written_late() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u", "attributes": {"n": 1}})).await;
    admin
        .delete(format!("{}?reason=kicked_out", session.path()))
        .await
        .expect(204);
    admin.delete(session.path()).await.expect(204);
    let ended = |problem: Value| {
        problem["ended"]["reason"] == "kicked_out" && problem["ended"]["by"] == "admin"
    };
    assert!(ended(
        admin
            .get(session.path())
            .await
            .problem(410, "session_ended")
    ));
    assert!(ended(
        admin
            .patch(session.path())
            .json(&json!({"device": "x"}))
            .await
            .problem(410, "session_ended")
    ));
    assert!(ended(
        admin
            .patch(session.at("/attributes"))
            .json(&json!({"a": 1}))
            .await
            .problem(410, "session_ended")
    ));
    assert!(ended(
        admin
            .put(session.at("/attributes/a"))
            .json(&json!(1))
            .await
            .problem(410, "session_ended")
    ));
    assert!(ended(
        admin
            .delete(session.at("/attributes/n"))
            .await
            .problem(410, "session_ended")
    ));
    assert!(ended(
        admin
            .post(session.at("/attributes/n/increment"))
            .json(&json!({"by": 1}))
            .await
            .problem(410, "session_ended")
    ));
    assert!(ended(
        admin
            .post(session.at("/refresh"))
            .json(&json!({}))
            .await
            .problem(410, "session_ended")
    ));
    assert!(ended(
        admin
            .post(session.at("/heartbeat"))
            .json(&json!({}))
            .await
            .problem(410, "session_ended")
    ));
    assert_eq!(
        admin.get("/v1/logins/u").await.value(200)["session_count"],
        0
    );
    app.pass(Duration::from_secs(2 * 3_600));
    admin
        .get(session.path())
        .await
        .problem(404, "session_not_found");
    admin
        .delete(session.path())
        .await
        .problem(404, "session_not_found");
}

#[tokio::test]
async fn an_end_takes_the_listed_reasons_only() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    for query in [
        "reason=bored",
        "reason=",
        "resaon=admin",
        "reason=admin&reason=logout",
    ] {
        admin
            .delete(format!("{}?{query}", session.path()))
            .await
            .problem(400, "invalid_request");
    }
    admin.get(session.path()).await.value(200);
}

#[tokio::test]
async fn a_late_delete_of_an_expired_session_records_the_expiry() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u", "idle_timeout_seconds": 5})).await;
    app.pass(Duration::from_secs(6));
    admin.delete(session.path()).await.expect(204);
    let gone = admin
        .get(session.path())
        .await
        .problem(410, "session_ended");
    assert_eq!(
        (&gone["ended"]["reason"], &gone["ended"]["by"]),
        (&json!("idle_timeout"), &Value::Null)
    );
}

#[tokio::test]
async fn ids_that_are_no_uuid_are_just_not_found() {
    let app = TestApp::new();
    let admin = app.admin();
    for id in [
        "x",
        "%00",
        "%2F",
        "..%2f",
        "%0d%0a",
        "%E2%80%AE",
        "0198c7a45f2e7c319d206b1f0a52e37f",
        "%7B0198c7a4-5f2e-7c31-9d20-6b1f0a52e37f%7D",
    ] {
        admin
            .get(format!("/v1/sessions/{id}"))
            .await
            .problem(404, "session_not_found");
    }
    admin
        .get(format!("/v1/sessions/{}", "x".repeat(300)))
        .await
        .problem(404, "session_not_found");
}

#[tokio::test]
async fn lists_come_newest_first_in_pages_that_visit_each_session_once() {
    let app = TestApp::new();
    let admin = app.admin();
    let mut opened = Vec::new();
    for n in 0..7 {
        app.pass(Duration::from_millis(2));
        opened.push(
            open(
                &admin,
                json!({"login_id": format!("u{}", n % 2), "device": "web"}),
            )
            .await
            .id,
        );
    }
    opened.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/sessions?limit=3".to_owned();
    loop {
        let page = admin.get(&path).await.value(200);
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["session_id"].as_str().unwrap().to_owned()),
        );
        open(&admin, json!({"login_id": "late"})).await;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/sessions?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, opened);
    let page = admin
        .get("/v1/sessions?total=true&login_id=u1&limit=1")
        .await
        .value(200);
    assert_eq!(page["total"], 3);
    admin
        .get("/v1/sessions?total=true&device=web")
        .await
        .problem(400, "invalid_request");
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=%21",
        "cursor=AAAA",
        "state=asleep",
        "lgoin_id=u1",
        "created_after=yesterday",
        "login_id=u1&login_id=u2",
    ] {
        admin
            .get(format!("/v1/sessions?{query}"))
            .await
            .problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn filters_find_what_they_name() {
    let app = TestApp::new();
    let admin = app.admin();
    let other = app.service("other", &["session.*"]).await;
    let first = open(&admin, json!({"login_id": "a", "device": "web", "client_ip": "203.0.113.7", "connection_id": "c1"})).await;
    let middle = app.now_text();
    app.pass(Duration::from_secs(1));
    let second = open(&other, json!({"login_id": "b", "device": "ios"})).await;
    for (query, expected) in [
        ("login_id=a", &first),
        ("service_id=other", &second),
        ("device=ios", &second),
        ("connection_id=c1", &first),
        ("client_ip=203.0.113.7", &first),
        ("service_id=admin&device=web", &first),
        (&*format!("created_after={middle}"), &second),
        (&*format!("active_after={middle}"), &second),
    ] {
        let page = admin.get(format!("/v1/sessions?{query}")).await.value(200);
        let ids: Vec<&Value> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["session_id"])
            .collect();
        assert_eq!(ids, [expected.id.as_str()], "{query}");
    }
    let none = admin
        .get(format!(
            "/v1/sessions?created_before={middle}&active_before={middle}"
        ))
        .await
        .value(200);
    assert_eq!(none, json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn a_service_with_own_scope_sees_and_ends_only_its_sessions() {
    let app = TestApp::new();
    let admin = app.admin();
    let own = app
        .service(
            "own",
            &[
                "session.create",
                "session.read:own",
                "session.update:own",
                "session.delete:own",
                "attribute.read:own",
                "attribute.write:own",
            ],
        )
        .await;
    let mine = open(&own, json!({"login_id": "u"})).await;
    let foreign = open(&admin, json!({"login_id": "u"})).await;
    own.get(mine.path()).await.value(200);
    own.get(foreign.path())
        .await
        .problem(404, "session_not_found");
    own.patch(foreign.path())
        .json(&json!({"device": "x"}))
        .await
        .problem(404, "session_not_found");
    own.post(foreign.at("/refresh"))
        .json(&json!({}))
        .await
        .problem(404, "session_not_found");
    own.get(foreign.at("/attributes"))
        .await
        .problem(404, "session_not_found");
    own.put(foreign.at("/attributes/a"))
        .json(&json!(1))
        .await
        .problem(404, "session_not_found");
    own.delete(foreign.path())
        .await
        .problem(404, "session_not_found");
    let revoke = own
        .post("/v1/tokens/revoke")
        .text(
            "application/x-www-form-urlencoded",
            format!("token={}", foreign.token),
        )
        .await;
    revoke.expect(200);
    let listed = own.get("/v1/logins/u/sessions").await.value(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let counted = own.get("/v1/sessions?total=true&login_id=u").await;
    assert_eq!(counted.value(200)["total"], 1);
    let all = own.get("/v1/sessions?total=true").await;
    all.problem(400, "invalid_request");
    assert_eq!(
        own.delete("/v1/logins/u/sessions").await.value(200),
        json!({"count": 1, "more": false, "cursor": null, "session_ids": [mine.id]})
    );
    admin.get(foreign.path()).await.value(200);
    admin.delete(foreign.path()).await.expect(204);
    own.get(foreign.path())
        .await
        .problem(404, "session_not_found");
}

#[tokio::test]
async fn writing_fields_is_no_use_of_the_session() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let opened_at = app.now_text();
    app.pass(Duration::from_secs(600));
    let patch = json!({"state": "active", "device": "web"});
    let patched = admin.patch(session.path()).json(&patch).await.value(200);
    assert_eq!(patched["last_active_at"], opened_at);
    assert_eq!(app.seconds_until(&patched["expires_at"]), 1_200);
    assert_eq!(patched["state"], "idle");
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let admin = TestApp::new().admin();
    let call = admin.post("/v1/sessions").json(&json!({"login_id": "u"}));
    let answer = call.header("Content-Encoding", "gzip").await;
    answer.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_repeated_post_opens_one_session_with_one_token_and_counts_once() {
    let app = TestApp::new();
    let admin = app.admin();
    let request = json!({"login_id": "u", "attributes": {"n": 1}});
    let open_once = || admin.post("/v1/sessions").header("Idempotency-Key", "open");
    let first = open_once().json(&request).await;
    let again = open_once().json(&request).await;
    assert_eq!(
        (first.value(201), first.header("etag")),
        (again.value(201), again.header("etag"))
    );
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(
        admin.get("/v1/logins/u").await.value(200)["session_count"],
        1
    );
    let path = format!("{}/attributes/n/increment", first.header("location"));
    for _ in 0..2 {
        let count_once = admin.post(&path).header("Idempotency-Key", "count");
        assert_eq!(
            count_once.json(&json!({"by": 5})).await.value(200)["value"],
            6
        );
    }
}
