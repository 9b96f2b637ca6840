//! A load that was overtaken changes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{FRESH, assert_read, gateway, get, knowing, path};
use crate::support::{Manner, TestApp, TestLoader};

/// What is answered late was true before.
fn late(profile: &Value) -> Manner {
    Manner::profile(profile).after(Duration::from_millis(500))
}

/// A read that misses, once the loader is at it.
async fn begin_read(app: &TestApp, loader: &TestLoader) -> JoinHandle<Value> {
    let (admin, asked) = (app.admin(), loader.count());
    let read = tokio::spawn(async move { get(&admin, "ana").await.value(200) });
    loader.until_asked(asked + 1).await;
    read
}

#[tokio::test]
async fn a_late_answer_does_not_overwrite_what_was_put() {
    let loader = TestLoader::start(late(&json!({"v": 1}))).await;
    let app = gateway(&loader);
    let read = begin_read(&app, &loader).await;
    let admin = app.admin();
    let put = json!({"profile": {"v": 2}, "ttl_seconds": 60});
    admin.put(path("ana")).json(&put).await.expect(200);
    assert_eq!(read.await.unwrap()["profile"], json!({"v": 2}));
    assert_read(&admin, "ana", &json!({"v": 2}), false).await;
    assert_eq!(loader.count(), 1);
}

#[tokio::test]
async fn a_late_answer_does_not_bring_back_what_was_forgotten() {
    for kept in [false, true] {
        let (loader, old) = knowing(json!({"v": 1})).await;
        let app = gateway(&loader);
        let admin = app.admin();
        if kept {
            assert_read(&admin, "ana", &old, false).await;
            app.pass(FRESH);
        }
        loader.answers(late(&old));
        let read = begin_read(&app, &loader).await;
        let new = json!({"v": 2});
        loader.answers(Manner::profile(&new));
        let status = if kept { 204 } else { 404 };
        admin.delete(path("ana")).await.expect(status);
        assert_eq!(read.await.unwrap()["profile"], new, "it is asked for again");
        assert_read(&admin, "ana", &new, false).await;
    }
}

#[tokio::test]
async fn a_late_answer_does_not_overwrite_what_was_refreshed() {
    let loader = TestLoader::start(late(&json!({"v": 1}))).await;
    let app = gateway(&loader);
    let read = begin_read(&app, &loader).await;
    let new = json!({"v": 2});
    loader.answers(Manner::profile(&new));
    let admin = app.admin();
    let refresh = json!({"login_ids": ["ana"], "ttl_seconds": 60});
    let refreshed = admin.post("/v1/profiles/refresh").json(&refresh).await;
    assert_eq!(refreshed.value(200)["count"], 1);
    assert_eq!(read.await.unwrap()["profile"], new);
    let kept = get(&admin, "ana").await.value(200);
    assert_eq!((&kept["profile"], &kept["ttl_seconds"]), (&new, &json!(60)));
}
