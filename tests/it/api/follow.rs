//! The feed as a stream: what a follower is sent, from where, and when it ends.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Client, Follow, TestApp, open};

const CREATED: &str = "/v1/events?types=session.created";

async fn login(client: &Client, login_id: &str) {
    open(client, json!({"login_id": login_id})).await;
}

async fn logins(client: &Client, login_ids: &[&str]) {
    for login_id in login_ids {
        login(client, login_id).await;
    }
}

/// The logins of so many events.
async fn told(follow: &mut Follow, count: usize) -> Vec<String> {
    let events = follow.take(count).await;
    let logins = events.iter().map(|event| event["login_id"].as_str());
    logins.map(|login| login.unwrap().to_owned()).collect()
}

/// Waits for the end of a stream, and tells what came before it.
async fn rest(mut follow: Follow) -> Vec<Value> {
    let mut rest = Vec::new();
    while let Some(event) = follow.next().await {
        rest.push(event);
    }
    rest
}

#[tokio::test]
async fn what_was_and_what_happens_come_in_one_stream() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "ana", "device": "web"})).await;
    let mut follow = Follow::begin(&admin, "/v1/events", None).await;
    assert_eq!(follow.headers["cache-control"], "no-store");
    assert_eq!(follow.headers["x-accel-buffering"], "no");
    let first = follow.frame().await.unwrap();
    assert!((1_000..=4_000).contains(&first.retry.unwrap()));
    let page = admin.get("/v1/events").await.value(200);
    for item in page["items"].as_array().unwrap() {
        assert_eq!(follow.next().await.as_ref(), Some(item));
    }
    admin.delete(session.path()).await.expect(204);
    let ended = follow.next().await.unwrap();
    assert_eq!(ended["type"], "session.ended");
    assert_eq!(ended["data"], json!({"reason": "logout", "by": "admin"}));
    assert_eq!(ended["session_id"], session.id);
}

#[tokio::test]
async fn every_id_in_a_stream_is_an_exact_place() {
    let app = TestApp::new();
    let admin = app.admin();
    logins(&admin, &["a", "b", "c"]).await;
    let mut follow = Follow::begin(&admin, CREATED, None).await;
    let mut places = Vec::new();
    for turn in 0..6 {
        if turn > 2 {
            login(&admin, &format!("live {turn}")).await;
        }
        follow.next().await.unwrap();
        places.push(follow.last_id.clone().unwrap());
    }
    let all = ["a", "b", "c", "live 3", "live 4", "live 5"];
    for (at, place) in places.iter().enumerate() {
        let page = admin.get(format!("{CREATED}&after={place}")).await;
        let page = page.value(200)["items"].clone();
        let page = page.as_array().unwrap().iter();
        let page: Vec<_> = page.map(|event| event["login_id"].clone()).collect();
        assert_eq!(page, all[at + 1..]);
        if at < 5 {
            let mut again = Follow::begin(&admin, CREATED, Some(place)).await;
            assert_eq!(told(&mut again, 5 - at).await, all[at + 1..]);
        }
    }
}

#[tokio::test]
async fn a_stream_begins_at_any_place_that_a_page_takes() {
    let app = TestApp::new();
    let admin = app.admin();
    logins(&admin, &["a", "b", "c"]).await;
    let page = admin.get(format!("{CREATED}&limit=1")).await.value(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let event = page["items"][0]["id"].as_str().unwrap();
    for query in [
        format!("&after={cursor}"),
        format!("&cursor={cursor}"),
        format!("&after={event}"),
    ] {
        let path = format!("{CREATED}{query}");
        let mut follow = Follow::begin(&admin, &path, None).await;
        assert_eq!(told(&mut follow, 2).await, ["b", "c"], "{query}");
    }
}

#[tokio::test]
async fn the_last_event_id_wins_over_the_url_that_is_repeated() {
    let app = TestApp::new();
    let admin = app.admin();
    logins(&admin, &["a", "b", "c"]).await;
    let page = admin.get(format!("{CREATED}&limit=1")).await.value(200);
    let path = format!("{CREATED}&after={}", page["next_cursor"].as_str().unwrap());
    let mut follow = Follow::begin(&admin, &path, None).await;
    assert_eq!(told(&mut follow, 1).await, ["b"]);
    let last = follow.last_id.clone().unwrap();
    let mut again = Follow::begin(&admin, &path, Some(&last)).await;
    assert_eq!(told(&mut again, 1).await, ["c"]);
    let page = admin.get(&path).header("last-event-id", &last).await;
    assert_eq!(page.value(200)["items"][0]["login_id"], "c");
    let mut empty = Follow::begin(&admin, &path, Some("")).await;
    assert_eq!(told(&mut empty, 1).await, ["b"]);
}

#[tokio::test]
async fn only_the_types_that_are_asked_for_are_sent() {
    let app = TestApp::new();
    let admin = app.admin();
    let path = "/v1/events?types=session.ended,login.banned";
    let mut follow = Follow::begin(&admin, path, None).await;
    let session = open(&admin, json!({"login_id": "ana"})).await;
    let put = admin.put(session.at("/attributes/color"));
    put.json(&json!("red")).await.expect(201);
    admin.delete(session.path()).await.expect(204);
    let ban = admin.put("/v1/logins/bob/ban");
    ban.json(&json!({"reason": "spam"})).await.expect(200);
    let events = follow.take(2).await;
    assert_eq!(events[0]["type"], "session.ended");
    assert_eq!(events[1]["type"], "login.banned");
}

#[tokio::test]
async fn a_follower_has_a_place_also_when_nothing_was_for_it() {
    let app = TestApp::new();
    let admin = app.admin();
    login(&admin, "ana").await;
    let path = "/v1/events?types=login.unbanned";
    let mut follow = Follow::begin(&admin, path, None).await;
    follow.frame().await.unwrap();
    let place = follow.frame().await.unwrap();
    assert!(place.event.is_none() && place.data.is_none());
    let page = admin
        .get("/v1/events")
        .header("last-event-id", &place.id.unwrap());
    assert_eq!(page.await.value(200)["items"], json!([]));
    let page = admin.get(path).await;
    assert_eq!(page.value(200)["next_cursor"], Value::Null);
    let page = admin
        .get("/v1/events")
        .header("last-event-id", page.header("last-event-id"));
    assert_eq!(page.await.value(200)["items"], json!([]));
}

#[tokio::test]
async fn a_place_that_is_wrong_or_gone_is_told_before_the_stream() {
    let app = TestApp::new();
    let admin = app.admin();
    login(&admin, "ana").await;
    let mut follow = Follow::begin(&admin, "/v1/events", None).await;
    follow.next().await.unwrap();
    let last = follow.last_id.clone().unwrap();
    drop(follow);
    let stream = |query: &str| {
        let get = admin.get(format!("/v1/events{query}"));
        get.header("accept", "text/event-stream")
    };
    for query in [
        "?after=p.%21",
        "?after=never",
        "?types=x",
        "?limit=5",
        "?afer=x",
    ] {
        stream(query).await.problem(400, "invalid_request");
    }
    let odd = stream("").header("last-event-id", "p.!").await;
    odd.problem(400, "invalid_request");
    login(&admin, "bob").await;
    app.pass(Duration::from_secs(25 * 3_600));
    login(&admin, "ana").await;
    app.sweep().await;
    let gone = stream("").header("last-event-id", &last).await;
    gone.problem(410, "cursor_expired");
}

#[tokio::test]
async fn without_the_name_of_the_stream_the_answer_is_json() {
    let app = TestApp::new();
    let admin = app.admin();
    for accept in ["*/*", "application/json, text/event-stream", "text/html"] {
        let page = admin.get("/v1/events").header("accept", accept).await;
        assert_eq!(page.header("content-type"), "application/json");
        assert!(page.value(200)["items"].is_array());
    }
}

#[tokio::test]
async fn a_head_request_ends_at_once_and_leaves_room() {
    let app = TestApp::with(&[("SGW_EVENT_FOLLOWERS", "1")]);
    let admin = app.admin();
    for _ in 0..3 {
        let head = admin.call(Method::HEAD, "/v1/events");
        let head = head.header("accept", "text/event-stream").await.expect(200);
        assert_eq!(head.header("content-type"), "text/event-stream");
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn no_more_follow_than_may() {
    let app = TestApp::with(&[("SGW_EVENT_FOLLOWERS", "2")]);
    let reader = app.service("reader", &["event.read"]).await;
    let one = Follow::begin(&reader, "/v1/events", None).await;
    let two = Follow::begin(&reader, "/v1/events", None).await;
    let third = reader
        .get("/v1/events")
        .header("accept", "text/event-stream");
    let refused = third.clone().await;
    refused.problem(503, "busy");
    assert_eq!(refused.header("retry-after"), "1");
    reader.get("/v1/events").await.expect(200);
    drop(one);
    let again = Follow::begin(&reader, "/v1/events", None).await;
    drop((two, again));
}

#[tokio::test]
async fn a_stream_ends_when_the_server_drains() {
    let app = TestApp::new();
    let follow = Follow::begin(&app.admin(), CREATED, None).await;
    login(&app.admin(), "ana").await;
    app.state.draining.begin();
    assert!(rest(follow).await.len() <= 1);
    let late = Follow::begin(&app.admin(), CREATED, None).await;
    assert_eq!(rest(late).await.len(), 0);
}

/// Does something to a service that follows the feed, after which it is told nothing more.
async fn ends_with(what: impl AsyncFn(&Client)) {
    let app = TestApp::new();
    let reader = app.service("reader", &["event.read"]).await;
    let mut follow = Follow::begin(&reader, CREATED, None).await;
    login(&app.admin(), "before").await;
    assert_eq!(told(&mut follow, 1).await, ["before"]);
    what(&app.admin()).await;
    login(&app.admin(), "after").await;
    assert_eq!(rest(follow).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_service_that_is_removed_hears_no_more() {
    ends_with(async |admin| {
        admin.delete("/v1/services/reader").await.expect(204);
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_disabled_hears_no_more() {
    ends_with(async |admin| {
        let patch = admin.patch("/v1/services/reader");
        patch.json(&json!({"enabled": false})).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_service_without_the_permission_hears_no_more() {
    ends_with(async |admin| {
        let patch = admin.patch("/v1/services/reader");
        let fewer = json!({"permissions": ["session.read"]});
        patch.json(&fewer).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_service_with_a_new_secret_hears_no_more_by_the_old_one() {
    ends_with(async |admin| {
        let rotate = admin.post("/v1/services/reader/rotate-secret");
        let at_once = json!({"grace_seconds": 0});
        rotate.json(&at_once).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn other_changes_of_a_service_leave_its_stream_alone() {
    let app = TestApp::new();
    let reader = app.service("reader", &["event.read"]).await;
    let mut follow = Follow::begin(&reader, CREATED, None).await;
    let patch = app.admin().patch("/v1/services/reader");
    patch.json(&json!({"service_name": "R"})).await.expect(200);
    let rotate = app.admin().post("/v1/services/reader/rotate-secret");
    let later = json!({"grace_seconds": 60});
    rotate.json(&later).await.expect(200);
    login(&app.admin(), "ana").await;
    assert_eq!(told(&mut follow, 1).await, ["ana"]);
    app.pass(Duration::from_secs(61));
    login(&app.admin(), "bob").await;
    assert_eq!(rest(follow).await, Vec::<Value>::new());
}
