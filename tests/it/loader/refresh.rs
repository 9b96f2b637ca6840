//! Loading many profiles anew.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{FRESH, assert_read, gateway, get, knowing};
use crate::support::{Call, Client, Manner, TestLoader};

fn refresh(client: &Client, login_ids: &[&str], ttl_seconds: u64) -> Call {
    let body = json!({"login_ids": login_ids, "ttl_seconds": ttl_seconds});
    client.post("/v1/profiles/refresh").json(&body)
}

fn told(pairs: &[(&str, &str)]) -> Value {
    let item = |(login_id, outcome)| json!({"login_id": login_id, "outcome": outcome});
    let items: Vec<_> = pairs.iter().copied().map(item).collect();
    let loaded = pairs.iter().filter(|(_, outcome)| *outcome == "loaded");
    json!({"count": loaded.count(), "items": items})
}

#[tokio::test]
async fn what_is_fresh_is_loaded_anew_for_the_time_that_is_asked_for() {
    let (loader, old) = knowing(json!({"v": 1})).await;
    let app = gateway(&loader);
    let admin = app.admin();
    assert_read(&admin, "ana", &old, false).await;
    let new = json!({"v": 2});
    loader.answers(Manner::profile(&new));
    let answer = refresh(&admin, &["ben", "ana", "ben"], 60).await;
    assert_eq!(
        answer.value(200),
        told(&[("ben", "loaded"), ("ana", "loaded")])
    );
    assert_eq!(loader.count(), 3, "each login id once");
    for login in ["ana", "ben"] {
        let read = get(&admin, login).await.value(200);
        assert_eq!((&read["profile"], &read["ttl_seconds"]), (&new, &json!(60)));
        assert_eq!(app.seconds_until(&read["expires_at"]), 60);
    }
    assert_eq!(loader.count(), 3);
}

#[tokio::test]
async fn each_is_told_what_became_of_it() {
    let (loader, old) = knowing(json!({"v": 1})).await;
    let app = gateway(&loader);
    let admin = app.admin();
    assert_read(&admin, "ana", &old, false).await;
    assert_read(&admin, "ben", &old, false).await;
    loader.answers(Manner::status("500 Oops"));
    let answer = refresh(&admin, &["ana", "eve"], 60).await;
    assert_eq!(
        answer.value(200),
        told(&[("ana", "failed"), ("eve", "failed")])
    );
    assert_read(&admin, "ana", &old, false).await;
    app.pass(FRESH);
    assert_read(&admin, "ana", &old, true).await;
    loader.answers(Manner::status("404 Not Found"));
    let answer = refresh(&admin, &["ana"], 60).await;
    assert_eq!(answer.value(200), told(&[("ana", "not_found")]));
    get(&admin, "ana").await.problem(404, "profile_not_found");
    loader.answers(Manner::profile(&old));
    let answer = refresh(&admin, &["ana"], 60).await;
    assert_eq!(answer.value(200), told(&[("ana", "loaded")]));
    assert_read(&admin, "ana", &old, false).await;
}

#[tokio::test]
async fn a_refresh_has_its_bounds() {
    let (loader, _) = knowing(json!({})).await;
    let app = gateway(&loader);
    let admin = app.admin();
    let many: Vec<String> = (0..101).map(|number| format!("u{number}")).collect();
    for (body, pointer) in [
        (json!({"login_ids": [], "ttl_seconds": 60}), "/login_ids"),
        (json!({"login_ids": many, "ttl_seconds": 60}), "/login_ids"),
        (
            json!({"login_ids": ["ana", ""], "ttl_seconds": 60}),
            "/login_ids/1",
        ),
        (
            json!({"login_ids": ["ana"], "ttl_seconds": 0}),
            "/ttl_seconds",
        ),
        (json!({"login_ids": ["ana"]}), ""),
        (
            json!({"login_ids": ["ana"], "ttl_seconds": 60, "all": true}),
            "/all",
        ),
    ] {
        let refused = admin.post("/v1/profiles/refresh").json(&body).await;
        let problem = refused.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    assert_eq!(loader.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_are_loaded_a_few_at_a_time() {
    let late = Manner::profile(&json!({"v": 1})).after(Duration::from_millis(20));
    let loader = TestLoader::start(late).await;
    let app = gateway(&loader);
    let many: Vec<String> = (0..100).map(|number| format!("u{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = refresh(&app.admin(), &many, 60).await.value(200);
    let all: Vec<_> = many.iter().map(|login| (*login, "loaded")).collect();
    assert_eq!(answer, told(&all));
    assert_eq!(loader.count(), 100);
    assert!((2..=16).contains(&loader.most_under_way()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_refreshes_all_succeed() {
    let (loader, profile) = knowing(json!({"v": 1})).await;
    let app = gateway(&loader);
    let mut refreshes = JoinSet::new();
    for _ in 0..20 {
        let admin = app.admin();
        refreshes.spawn(async move { refresh(&admin, &["ana"], 60).await });
    }
    for answer in refreshes.join_all().await {
        assert_eq!(answer.value(200), told(&[("ana", "loaded")]));
    }
    assert_read(&app.admin(), "ana", &profile, false).await;
}

#[tokio::test]
async fn a_refresh_with_a_key_loads_nothing() {
    let (loader, _) = knowing(json!({})).await;
    let app = gateway(&loader);
    let refused = refresh(&app.admin(), &["ana"], 60).header("idempotency-key", "k");
    refused.await.problem(400, "idempotency_not_possible");
    assert_eq!(loader.count(), 0);
}
