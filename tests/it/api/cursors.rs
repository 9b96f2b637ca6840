//! Cursors of lists: sealed, and good for nothing but the list, the filters and the caller they were made for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::support::{Client, TestApp, open};

async fn next_of(client: &Client, path: &str) -> String {
    let page = client.get(path).await.value(200);
    page["next_cursor"].as_str().unwrap().to_owned()
}

async fn assert_refused(client: &Client, path: &str, cursor: &str) {
    let with = if path.contains('?') { '&' } else { '?' };
    let refused = client.get(format!("{path}{with}cursor={cursor}")).await;
    let problem = refused.problem(400, "invalid_request");
    assert_eq!(problem["detail"], "`cursor` is not one of this list");
}

fn bytes(text: &str) -> Vec<u8> {
    text.split('-')
        .flat_map(|part| part.as_bytes().chunks(2))
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[tokio::test]
async fn the_cursor_of_an_empty_page_tells_nothing_of_the_sessions_it_passed_over() {
    let app = TestApp::new();
    let admin = app.admin();
    let shop = app.service("shop", &["session.read:own"]).await;
    let mut foreign = Vec::new();
    // More than a page looks at.
    for _ in 0..2_001 {
        foreign.push(bytes(&open(&admin, json!({"login_id": "u"})).await.id));
    }
    let page = shop.get("/v1/sessions").await.value(200);
    assert_eq!(page["items"], json!([]));
    let cursor = page["next_cursor"].as_str().unwrap();
    let told = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    for id in foreign {
        // Also a part of an id would tell when it was opened.
        assert!(!told.windows(6).any(|part| part == &id[..6]), "{cursor}");
    }
    let rest = shop.get(format!("/v1/sessions?cursor={cursor}")).await;
    assert_eq!(rest.value(200), json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_its_filters_and_its_caller_only() {
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..2 {
        open(&admin, json!({"login_id": "u", "device": "web"})).await;
        open(&admin, json!({"login_id": "v", "device": "web"})).await;
    }
    let reader = app.service("reader", &["session.read"]).await;
    let path = "/v1/sessions?login_id=u&limit=1";
    let cursor = next_of(&admin, path).await;
    let rest = admin.get(format!("{path}&cursor={cursor}")).await;
    assert_eq!(rest.value(200)["items"].as_array().unwrap().len(), 1);
    // The size of a page is no condition.
    let rest = admin.get(format!("/v1/sessions?login_id=u&limit=9&cursor={cursor}"));
    assert_eq!(rest.await.value(200)["next_cursor"], json!(null));
    for other in [
        "/v1/sessions",
        "/v1/sessions?login_id=v",
        "/v1/sessions?login_id=u&device=web",
        "/v1/logins/u/sessions",
        "/v1/services",
    ] {
        assert_refused(&admin, other, &cursor).await;
    }
    assert_refused(&reader, path, &cursor).await;
    let ours = next_of(&reader, path).await;
    assert_refused(&admin, path, &ours).await;
    let narrowed = json!({"permissions": ["session.read:own"]});
    let narrow = admin.patch("/v1/services/reader").json(&narrowed).await;
    narrow.expect(200);
    assert_refused(&reader, path, &ours).await;
}

#[tokio::test]
async fn what_the_gateway_did_not_make_is_no_cursor() {
    let app = TestApp::new();
    let admin = app.admin();
    for _ in 0..2 {
        open(&admin, json!({"login_id": "u"})).await;
    }
    let session = open(&admin, json!({"login_id": "u"})).await;
    let cursor = next_of(&admin, "/v1/sessions?limit=1").await;
    let whole = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
    for place in 0..whole.len() {
        let mut forged = whole.clone();
        forged[place] ^= 1;
        let forged = URL_SAFE_NO_PAD.encode(forged);
        assert_refused(&admin, "/v1/sessions", &forged).await;
    }
    let open_form = [b"s".as_slice(), &bytes(&session.id)].concat();
    for forged in [&whole[..whole.len() - 1], &whole[..20], b"", &open_form] {
        let forged = URL_SAFE_NO_PAD.encode(forged);
        assert_refused(&admin, "/v1/sessions", &forged).await;
    }
}

#[tokio::test]
async fn a_cursor_goes_on_while_keys_change_and_ends_with_the_last_day_of_its_own() {
    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);
    let app = TestApp::with(&[
        ("SGW_MAX_AGE_LIMIT", "1000h"),
        ("SGW_IDLE_TIMEOUT_LIMIT", "1000h"),
    ]);
    let admin = app.admin();
    for _ in 0..3 {
        let month = json!({"login_id": "u", "idle_timeout_seconds": 3_500_000, "max_age_seconds": 3_500_000});
        open(&admin, month).await;
    }
    let first = next_of(&admin, "/v1/sessions?limit=1").await;
    app.pass(30 * DAY + DAY / 2);
    let second = next_of(&admin, &format!("/v1/sessions?limit=1&cursor={first}")).await;
    app.pass(DAY / 2);
    assert_refused(&admin, "/v1/sessions", &first).await;
    let last = admin.get(format!("/v1/sessions?limit=1&cursor={second}"));
    assert_eq!(last.await.value(200)["next_cursor"], json!(null));
}
