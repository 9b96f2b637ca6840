//! Pages end at 4 MiB, whatever their limit.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Client, TestApp, open};

const MOST: usize = 4 * 1_024 * 1_024;

/// Two attributes of 60 KB.
fn large(login: &str) -> Value {
    let value = "x".repeat(60_000);
    json!({"login_id": login, "device": "tv", "attributes": {"a": value, "b": value}})
}

/// Walks a list; how often each of its items was there, by the member that names it, and how many pages it has.
async fn walk(client: &Client, path: &str, name: &str) -> (BTreeMap<String, usize>, usize) {
    let (mut seen, mut pages, mut cursor) = (BTreeMap::new(), 0, String::new());
    loop {
        let answer = client.get(format!("{path}{cursor}")).await;
        assert!(answer.body.len() <= MOST, "{} bytes", answer.body.len());
        let page = answer.value(200);
        pages += 1;
        for item in page["items"].as_array().unwrap() {
            *seen.entry(item[name].to_string()).or_default() += 1;
        }
        let Some(next) = page["next_cursor"].as_str() else {
            return (seen, pages);
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn a_list_of_large_sessions_gives_each_once_in_pages_of_four_mebibytes() {
    let app = TestApp::new();
    let admin = app.admin();
    for number in 0..80 {
        open(&admin, large(["u", "v"][number % 2])).await;
    }
    for (path, sessions, least) in [
        ("/v1/sessions?limit=1000", 80, 3),
        ("/v1/logins/u/sessions?limit=1000", 40, 2),
        ("/v1/sessions?limit=1000&device=tv", 80, 3),
    ] {
        let (seen, pages) = walk(&admin, path, "session_id").await;
        assert_eq!(seen.len(), sessions, "{path}");
        assert!(seen.values().all(|times| *times == 1), "{path}");
        assert_eq!(pages, least, "{path}: no page is shorter than it must be");
    }
    let found = admin.get("/v1/logins/u").await.value(200);
    assert_eq!(found["session_count"], 40);
    assert_ne!(found["partial"], true, "all were looked at");
}

#[tokio::test]
async fn a_filter_that_passes_large_sessions_over_ends_its_pages_too() {
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..160 {
        open(&admin, large("u")).await;
    }
    let (seen, pages) = walk(&admin, "/v1/sessions?device=none", "session_id").await;
    assert_eq!(seen.len(), 0);
    assert_eq!(pages, 2, "a page looks at 16 MiB");
}

#[tokio::test]
async fn large_events_end_their_pages_too() {
    const CHANGES: usize = 150;
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    let names = (0..256).map(|n| (format!("{n:0>128}"), json!(1)));
    let patch = Value::Object(names.collect());
    for _ in 0..CHANGES {
        let call = admin.patch(session.at("/attributes"));
        call.json(&patch).await.expect(200);
    }
    let path = "/v1/events?types=session.changed&limit=1000";
    let (seen, pages) = walk(&admin, path, "id").await;
    assert_eq!(seen.len(), CHANGES);
    assert!(seen.values().all(|times| *times == 1));
    assert_eq!(pages, 2);
}
