//! What is too large or too deep is refused in few words, of which hardly any are the caller's.

use serde_json::{Value, json};

use crate::support::{Answer, Call, TestApp, open};

/// The most bytes that an answer to such a request has.
const FEW: usize = 1_024;

/// The most of an input that an answer may repeat, to say where in it something is wrong.
const ECHO: usize = 64;

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn many(count: usize) -> Value {
    let named = (0..count).map(|n| (format!("name-{n}"), json!(n)));
    Value::Object(named.collect())
}

async fn assert_few_words(what: &str, call: Call) -> Answer {
    let answer = call.await;
    let text = answer.text();
    let status = answer.status.as_u16();
    assert!(
        [400, 413, 414, 422, 431].contains(&status),
        "{what}: {status} {text}"
    );
    assert!(text.len() <= FEW, "{what}: {} bytes: {text}", text.len());
    assert!(
        !text.contains(&"x".repeat(ECHO)),
        "{what} is echoed: {text}"
    );
    answer
}

#[tokio::test]
async fn whatever_is_too_large_or_too_deep_is_told_in_few_words() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "ana"})).await;
    let put = |json: String| {
        let put = admin.put(session.at("/attributes/a"));
        put.text("application/json", json)
    };
    let merge = |body: Value| admin.patch(session.at("/attributes")).json(&body);
    let text = |length: usize| "x".repeat(length);
    put(nested(30)).await.expect(201);
    for (what, call) in [
        ("33 levels", put(nested(33))),
        ("100,000 levels", put(nested(100_000))),
        ("a value", put(json!(text(65_537)).to_string())),
        ("a name", merge(json!({text(129): 1}))),
        ("257 attributes", merge(many(257))),
        ("tiny keys", merge(many(10_000))),
        ("a body", put(json!(text(300_000)).to_string())),
        (
            "a login id",
            admin
                .post("/v1/sessions")
                .json(&json!({"login_id": text(10_000)})),
        ),
        (
            "a URI",
            admin.get(format!("/v1/sessions?login_id={}", text(9_000))),
        ),
        (
            "a header",
            admin.get("/v1/whoami").header("x-long", &text(17_000)),
        ),
        (
            "a cursor",
            admin.get(format!("/v1/sessions?cursor={}", text(4_000))),
        ),
        (
            "a token",
            admin
                .post("/v1/tokens/rotate")
                .json(&json!({"token": [text(600)]})),
        ),
    ] {
        assert_few_words(what, call).await;
    }
    let left = admin.get(session.at("/attributes")).await.value(200);
    assert_eq!(left["version"], 2, "nothing of it was kept");
}
