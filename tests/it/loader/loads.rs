//! When the loader is asked.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::{FRESH, assert_read, gateway, get, knowing, path, with};
use crate::support::{Manner, TestLoader};

const MILLISECOND: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_profile_that_is_missed_is_loaded_and_kept() {
    let (loader, ana) = knowing(json!({"name": "Ana", "n": 1.50})).await;
    let app = gateway(&loader);
    let admin = app.admin();
    let read = get(&admin, "ana").await.value(200);
    assert_eq!(
        read,
        json!({"profile": ana, "ttl_seconds": 300, "expires_at": "2026-01-31T08:05:00.000Z", "stale": false})
    );
    app.pass(FRESH - MILLISECOND);
    assert_read(&admin, "ana", &ana, false).await;
    assert_eq!(loader.count(), 1);
    app.pass(MILLISECOND);
    let changed = json!({"name": "Ana B"});
    loader.answers(Manner::profile(&changed));
    assert_read(&admin, "ana", &changed, false).await;
    assert_eq!(loader.count(), 2);
}

#[tokio::test]
async fn a_profile_that_was_put_is_loaded_only_when_it_is_over() {
    let (loader, known) = knowing(json!({"from": "the loader"})).await;
    let app = gateway(&loader);
    let admin = app.admin();
    let put = json!({"profile": {"from": "a service"}, "ttl_seconds": 60});
    admin.put(path("ana")).json(&put).await.expect(200);
    assert_read(&admin, "ana", &put["profile"], false).await;
    assert_eq!(loader.count(), 0);
    app.pass(Duration::from_secs(60));
    assert_read(&admin, "ana", &known, false).await;
}

#[tokio::test]
async fn a_profile_that_was_forgotten_is_loaded_anew() {
    let (loader, profile) = knowing(json!({"v": 1})).await;
    let app = gateway(&loader);
    let admin = app.admin();
    assert_read(&admin, "ana", &profile, false).await;
    admin.delete(path("ana")).await.expect(204);
    let changed = json!({"v": 2});
    loader.answers(Manner::profile(&changed));
    assert_read(&admin, "ana", &changed, false).await;
    assert_eq!(loader.count(), 2);
}

#[tokio::test]
async fn how_long_it_is_fresh_can_be_set() {
    let (loader, profile) = knowing(json!({})).await;
    let app = with(&loader, &[("SGW_PROFILE_TTL", "90s")]);
    let admin = app.admin();
    let read = get(&admin, "ana").await.value(200);
    assert_eq!(read["ttl_seconds"], 90);
    app.pass(Duration::from_secs(90));
    assert_read(&admin, "ana", &profile, false).await;
    assert_eq!(loader.count(), 2);
}

#[tokio::test]
async fn a_user_whom_the_loader_does_not_know_has_no_profile() {
    for status in ["404 Not Found", "410 Gone"] {
        let (loader, profile) = knowing(json!({"v": 1})).await;
        let app = gateway(&loader);
        let admin = app.admin();
        assert_read(&admin, "ana", &profile, false).await;
        app.pass(FRESH);
        loader.answers(Manner::status(status));
        for _ in 0..3 {
            let answer = get(&admin, "ana").await;
            answer.problem(404, "profile_not_found");
        }
        assert_eq!(loader.count(), 2, "that is known for a moment");
        app.pass(Duration::from_secs(5));
        loader.answers(Manner::Silence);
        let put = json!({"profile": {"v": 2}, "ttl_seconds": 60});
        admin.put(path("ana")).json(&put).await.expect(200);
        assert_read(&admin, "ana", &json!({"v": 2}), false).await;
    }
}

#[tokio::test]
async fn a_user_who_signs_up_is_known_soon() {
    let loader = TestLoader::start(Manner::status("404 Not Found")).await;
    let app = gateway(&loader);
    let admin = app.admin();
    get(&admin, "ana").await.problem(404, "profile_not_found");
    let profile = json!({"name": "Ana"});
    loader.answers(Manner::profile(&profile));
    app.pass(Duration::from_secs(5));
    assert_read(&admin, "ana", &profile, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_misses_of_one_profile_ask_once() {
    let profile = json!({"name": "Ana"});
    let late = Manner::profile(&profile).after(Duration::from_millis(300));
    let loader = TestLoader::start(late).await;
    let app = gateway(&loader);
    let mut reads = JoinSet::new();
    for _ in 0..1_000 {
        let admin = app.admin();
        reads.spawn(async move { get(&admin, "ana").await });
    }
    for answer in reads.join_all().await {
        assert_eq!(answer.value(200)["profile"], profile);
    }
    assert_eq!(loader.count(), 1);
}

#[tokio::test]
async fn misses_of_several_profiles_do_not_wait_for_each_other() {
    let loader = TestLoader::start(Manner::Silence).await;
    let app = gateway(&loader);
    let admin = app.admin();
    let waiting = tokio::spawn(get_owned(app.admin(), "ana"));
    loader.until_asked(1).await;
    let profile = json!({"name": "Ben"});
    loader.answers(Manner::profile(&profile));
    assert_read(&admin, "ben", &profile, false).await;
    waiting.abort();
}

async fn get_owned(client: crate::support::Client, login: &str) -> u16 {
    get(&client, login).await.status.as_u16()
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_nobody_else() {
    let profile = json!({"name": "Ana"});
    let late = Manner::profile(&profile).after(Duration::from_millis(300));
    let loader = TestLoader::start(late).await;
    let app = gateway(&loader);
    let impatient = tokio::spawn(get_owned(app.admin(), "ana"));
    loader.until_asked(1).await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    assert_read(&app.admin(), "ana", &profile, false).await;
    assert_eq!(loader.count(), 1);
}
