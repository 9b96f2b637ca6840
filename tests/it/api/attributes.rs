//! Attributes over HTTP: merge, one by one, counters, limits, and writers side by side.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{TestApp, open};

#[tokio::test]
async fn a_merge_patch_sets_merges_and_removes_in_one_step() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "u", "attributes": {"keep": 1, "drop": 2, "deep": {"a": 1, "b": 2}}}),
    )
    .await;
    let patch = json!({"drop": null, "deep": {"a": null, "c": 3}, "new": [1, null]});
    let answer = admin.patch(session.at("/attributes")).json(&patch).await;
    let expected = json!({"keep": 1, "deep": {"b": 2, "c": 3}, "new": [1, null]});
    assert_eq!(
        answer.value(200),
        json!({"attributes": expected, "version": 2})
    );
    assert_eq!(answer.header("etag"), "\"2\"");
    admin
        .patch(session.at("/attributes"))
        .text("application/merge-patch+json", r#"{"keep":null}"#)
        .await
        .value(200);
    assert_eq!(
        admin.get(session.at("/attributes")).await.value(200)["version"],
        3
    );
}

#[tokio::test]
async fn one_attribute_is_put_read_and_deleted_by_its_name() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let path = session.at("/attributes/a%2Fb%20%C3%A4");
    admin.put(&path).json(&json!({"x": 1})).await.value(201);
    admin.put(&path).json(&Value::Null).await.value(200);
    assert_eq!(admin.get(&path).await.value(200), Value::Null);
    assert_eq!(
        admin.get(session.at("/attributes")).await.value(200)["attributes"],
        json!({"a/b ä": null})
    );
    admin.delete(&path).await.expect(204);
    admin
        .delete(&path)
        .await
        .problem(404, "attribute_not_found");
    admin.get(&path).await.problem(404, "attribute_not_found");
    for name in ["%00", "%0A", ".", "%2e%2e", &"x".repeat(129)] {
        let answer = admin
            .put(session.at(&format!("/attributes/{name}")))
            .json(&json!(1))
            .await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 404),
            "{name} answered {}",
            answer.status.as_u16()
        );
    }
    assert_eq!(admin.get(session.path()).await.value(200)["version"], 4);
}

#[tokio::test]
async fn values_come_back_exactly_as_they_were_written() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    for value in [
        "9007199254740993",
        "123456789012345678901234567890",
        "1e400",
        "-0",
        "1.10",
        "\"\\u0000\"",
        "\"𝄞é\"",
    ] {
        admin
            .put(session.at("/attributes/v"))
            .text("application/json", value)
            .await;
        assert_eq!(admin.get(session.at("/attributes/v")).await.text(), value);
        let all = admin.get(session.at("/attributes")).await.text();
        assert!(all.contains(&format!("{{\"v\":{value}}}")), "{all}");
    }
}

#[tokio::test]
async fn limits_are_named_and_nothing_is_kept_of_what_breaks_them() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let text = |bytes: usize| json!("x".repeat(bytes - 2));
    admin
        .put(session.at("/attributes/big"))
        .json(&text(64 * 1024))
        .await
        .value(201);
    admin
        .put(session.at("/attributes/big"))
        .json(&text(64 * 1024 + 1))
        .await
        .problem(400, "invalid_request");
    for name in ["b", "c"] {
        admin
            .put(session.at(&format!("/attributes/{name}")))
            .json(&text(64 * 1024))
            .await
            .value(201);
    }
    admin
        .put(session.at("/attributes/d"))
        .json(&text(64 * 1024))
        .await
        .problem(400, "invalid_request");
    let many: Value = (0..253)
        .map(|n| (format!("n{n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    admin
        .patch(session.at("/attributes"))
        .json(&many)
        .await
        .value(200);
    let one_more = admin
        .put(session.at("/attributes/one-more"))
        .json(&json!(1))
        .await
        .problem(400, "invalid_request");
    assert!(
        one_more["detail"].as_str().unwrap().contains("256"),
        "{one_more}"
    );
    let over = json!({"login_id": "u", "attributes": (0..257).map(|n| (format!("n{n}"), json!(n))).collect::<serde_json::Map<_, _>>()});
    admin
        .post("/v1/sessions")
        .json(&over)
        .await
        .problem(400, "invalid_request");
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    admin
        .put(session.at("/attributes/deep"))
        .text("application/json", deep.clone())
        .await
        .problem(400, "invalid_request");
    let fits = format!("{}{}", "[".repeat(32), "]".repeat(32));
    admin.delete(session.at("/attributes/n0")).await.expect(204);
    admin
        .put(session.at("/attributes/deep"))
        .text("application/json", fits.clone())
        .await
        .value(201);
    let huge = format!("\"{}\"", "x".repeat(256 * 1024));
    admin
        .put(session.at("/attributes/h"))
        .text("application/json", huge.clone())
        .await
        .problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_counter_counts_in_64_bits_or_says_that_it_cannot() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(
        &admin,
        json!({"login_id": "u", "attributes": {"word": "x", "half": 1.5}}),
    )
    .await;
    let path = session.at("/attributes/n/increment");
    assert_eq!(
        admin.post(&path).json(&json!({"by": 5})).await.value(200),
        json!({"value": 5})
    );
    assert_eq!(
        admin.post(&path).json(&json!({"by": -7})).await.value(200),
        json!({"value": -2})
    );
    admin
        .put(session.at("/attributes/n"))
        .json(&json!(i64::MAX))
        .await
        .value(200);
    admin
        .post(&path)
        .json(&json!({"by": 1}))
        .await
        .problem(409, "attribute_not_a_number");
    for name in ["word", "half"] {
        let answer = admin
            .post(session.at(&format!("/attributes/{name}/increment")))
            .json(&json!({"by": 1}))
            .await;
        answer.problem(409, "attribute_not_a_number");
    }
    for wrong in [
        json!({}),
        json!({"by": 1.5}),
        json!({"by": "1"}),
        json!({"by": 9_223_372_036_854_775_808_u64}),
    ] {
        admin
            .post(&path)
            .json(&wrong)
            .await
            .problem(400, "invalid_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_writers_side_by_side_lose_nothing() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let mut writers = JoinSet::new();
    for n in 0..200 {
        let (admin, path, refresh) = (
            admin.clone(),
            session.at(&format!("/attributes/a{n}")),
            session.at("/refresh"),
        );
        writers.spawn(async move {
            admin.put(&path).json(&json!(n)).await.value(201);
            admin.post(&refresh).json(&json!({})).await.value(200);
        });
    }
    writers.join_all().await;
    let all = admin.get(session.at("/attributes")).await.value(200);
    assert_eq!(all["version"], 201);
    for n in 0..200 {
        assert_eq!(all["attributes"][format!("a{n}")], n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_count_to_a_thousand_by_compare_and_set() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u", "attributes": {"n": 0}})).await;
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let (admin, all, one) = (
            admin.clone(),
            session.at("/attributes"),
            session.at("/attributes/n"),
        );
        clients.spawn(async move {
            let mut done = 0;
            while done < 20 {
                let read = admin.get(&all).await.value(200);
                let version = format!("\"{}\"", read["version"]);
                let next = read["attributes"]["n"].as_i64().unwrap() + 1;
                match admin
                    .put(&one)
                    .header("If-Match", &version)
                    .json(&json!(next))
                    .await
                    .status
                    .as_u16()
                {
                    200 => done += 1,
                    412 => {}
                    other => panic!("unexpected status {other}"),
                }
            }
        });
    }
    clients.join_all().await;
    assert_eq!(
        admin.get(session.at("/attributes/n")).await.value(200),
        1_000
    );
}
