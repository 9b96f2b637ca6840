//! Endings of many over HTTP.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Call, Opened, TestApp, open};

fn ended_one(session: &Opened) -> Value {
    json!({"count": 1, "more": false, "cursor": null, "session_ids": [session.id]})
}

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
    assert_eq!(dry.value(200), ended_one(&ios));
    admin.get(ios.path()).await.value(200);
    let done = bulk(json!({"filter": filter, "reason": "admin"})).await;
    assert_eq!(done.value(200), ended_one(&ios));
    let ended = admin.get(ios.path()).await.problem(410, "session_ended")["ended"].clone();
    assert_eq!(
        ended,
        json!({"reason": "admin", "at": app.now_text(), "by": "admin"})
    );
    admin.get(web.path()).await.value(200);
    let rest = bulk(json!({"filter": {"service_id": "admin"}})).await;
    assert_eq!(rest.value(200), ended_one(&web));
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
    assert_eq!(done.value(200), ended_one(&own));
    app.admin()
        .get(own.path())
        .await
        .problem(410, "session_ended");
    app.admin().get(other.path()).await.value(200);
}

/// Sends a request, with the cursor of each answer, until nothing is left.
async fn follow(send: impl Fn(Option<&str>) -> Call) -> Vec<Value> {
    let mut answers: Vec<Value> = Vec::new();
    loop {
        let cursor = answers.last().and_then(|answer| answer["cursor"].as_str());
        let answer = send(cursor).await.value(200);
        let more = answer["more"].as_bool().unwrap();
        assert_eq!(answer["cursor"].is_null(), !more, "{answer}");
        let named = answer["session_ids"].as_array().unwrap().len();
        assert_eq!(answer["count"], named, "all that are counted are named");
        answers.push(answer);
        if !more {
            return answers;
        }
    }
}

fn counts(answers: &[Value]) -> Vec<u64> {
    let counts = answers.iter().map(|answer| answer["count"].as_u64());
    counts.map(Option::unwrap).collect()
}

fn named(answers: &[Value]) -> BTreeSet<&str> {
    let all = answers
        .iter()
        .flat_map(|answer| answer["session_ids"].as_array().unwrap());
    all.map(|id| id.as_str().unwrap()).collect()
}

#[tokio::test]
async fn of_thousands_each_answer_names_a_thousand_and_what_is_opened_meanwhile_lives() {
    const MANY: usize = 2_050;
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..MANY {
        open(&admin, json!({"login_id": "u", "device": "tv"})).await;
    }
    let bulk = |dry_run: bool| {
        let admin = admin.clone();
        move |cursor: Option<&str>| {
            let body = json!({"filter": {"device": "tv"}, "dry_run": dry_run, "cursor": cursor});
            admin.post("/v1/sessions/bulk-delete").json(&body)
        }
    };
    let found = follow(bulk(true)).await;
    assert_eq!(counts(&found), [1_000, 1_000, 50]);
    let first = admin.delete("/v1/logins/u/sessions").await.value(200);
    assert_eq!(
        (&first["count"], &first["more"]),
        (&json!(1_000), &json!(true))
    );
    app.pass(std::time::Duration::from_millis(1));
    let late = open(&admin, json!({"login_id": "u", "device": "tv"})).await;
    let cursor = first["cursor"].as_str().unwrap();
    let second = admin
        .delete(format!("/v1/logins/u/sessions?cursor={cursor}"))
        .await
        .value(200);
    assert_eq!(second["count"], 1_000);
    let rest = follow(bulk(false)).await;
    assert_eq!(counts(&rest), [51], "the late one is here, too");
    let mut all = vec![first, second];
    all.extend(rest);
    let mut ended = named(&all);
    assert!(ended.remove(&*late.id));
    assert_eq!(ended, named(&found));
    assert_eq!(ended.len(), MANY);
}

#[tokio::test]
async fn what_is_opened_after_the_first_request_outlives_the_last() {
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..1_001 {
        open(&admin, json!({"login_id": "u"})).await;
    }
    let path = "/v1/logins/u/sessions?reason=admin";
    let first = admin.delete(path).await.value(200);
    app.pass(std::time::Duration::from_millis(1));
    let late = open(&admin, json!({"login_id": "u"})).await;
    let cursor = first["cursor"].as_str().unwrap();
    let last = admin.delete(format!("{path}&cursor={cursor}")).await;
    let last = last.value(200);
    assert_eq!((&last["count"], &last["more"]), (&json!(1), &json!(false)));
    admin.get(late.path()).await.expect(200);
}

#[tokio::test]
async fn only_the_same_request_goes_on_with_a_cursor() {
    let app = TestApp::new();
    let admin = app.admin();
    let other = app.service("other", &["session.*", "login.manage"]).await;
    for _ in 0..1_002 {
        open(&admin, json!({"login_id": "u"})).await;
    }
    let survivor = open(&admin, json!({"login_id": "v"})).await;
    let path = "/v1/logins/u/sessions";
    let first = admin.delete(path).await.value(200);
    let cursor = first["cursor"].as_str().unwrap();
    let in_bulk = |filter: Value| {
        let body = json!({"filter": filter, "cursor": cursor});
        admin.post("/v1/sessions/bulk-delete").json(&body)
    };
    let reason = json!({"reason": "noise", "cursor": cursor});
    for misused in [
        admin.delete(format!("/v1/logins/v/sessions?cursor={cursor}")),
        admin.delete(format!("{path}?device=web&cursor={cursor}")),
        admin.delete(format!("{path}?reason=admin&cursor={cursor}")),
        admin.delete(format!("{path}?except={}&cursor={cursor}", survivor.id)),
        other.delete(format!("{path}?cursor={cursor}")),
        admin.get(format!("{path}?cursor={cursor}")),
        in_bulk(json!({"login_id": "u"})),
        in_bulk(json!({"service_id": "admin"})),
        admin.post("/v1/logins/u/kick-out").json(&reason),
        admin
            .put(format!("/v1/logins/u/ban?cursor={cursor}"))
            .json(&json!({"reason": "noise"})),
    ] {
        let refused = misused.await.problem(400, "invalid_request");
        assert_eq!(refused["detail"], "`cursor` is not one of this list");
    }
    let login = admin.get("/v1/logins/u").await.value(200);
    assert_eq!(
        (&login["session_count"], &login["banned_until"]),
        (&json!(2), &json!(null))
    );
    let rest = admin.delete(format!("{path}?cursor={cursor}")).await;
    assert_eq!(rest.value(200)["count"], 2);
    admin.get(survivor.path()).await.expect(200);
}

#[tokio::test]
async fn a_dry_run_goes_on_as_one() {
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..1_001 {
        open(&admin, json!({"login_id": "u"})).await;
    }
    let bulk = |dry_run: bool, cursor: Option<&Value>| {
        let body = json!({"filter": {"login_id": "u"}, "dry_run": dry_run, "cursor": cursor});
        admin.post("/v1/sessions/bulk-delete").json(&body)
    };
    let found = bulk(true, None).await.value(200);
    assert_eq!(found["count"], 1_000);
    bulk(false, Some(&found["cursor"]))
        .await
        .problem(400, "invalid_request");
    let rest = bulk(true, Some(&found["cursor"])).await.value(200);
    assert_eq!((&rest["count"], &rest["more"]), (&json!(1), &json!(false)));
    let login = admin.get("/v1/logins/u").await.value(200);
    assert_eq!(login["session_count"], 1_001);
}
