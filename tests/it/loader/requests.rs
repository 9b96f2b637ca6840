//! How the loader is asked: signed, at the configured place, whatever the login id is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::json;
use sha2::Sha256;

use super::{gateway, get, knowing, with};
use crate::support::{Asked, TestApp};

const SECRET: &str = "a-secret-of-the-loader-and-nobody-else";

/// As a loader would do it, after the README.
fn is_signed(asked: &Asked, secret: &str) -> bool {
    let header = |name| asked.header(name).unwrap();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let text = format!("{id}.{timestamp}.GET {}", asked.target);
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let signature = mac.chain_update(text).finalize().into_bytes();
    header("webhook-signature") == format!("v1,{}", STANDARD.encode(signature))
}

#[tokio::test]
async fn requests_are_signed_with_the_secret() {
    let (loader, _) = knowing(json!({})).await;
    let app = with(&loader, &[("SGW_PROFILE_LOADER_SECRET", SECRET)]);
    let admin = app.admin();
    for login in ["ana", "ben", "%C3%A9%2F%3F"] {
        get(&admin, login).await.expect(200);
    }
    let asked = loader.asked();
    for request in &asked {
        assert!(is_signed(request, SECRET), "{request:?}");
        assert!(!is_signed(request, "another secret"));
        // 2026-01-31T08:00:00Z
        assert_eq!(request.header("webhook-timestamp"), Some("1769846400"));
    }
    let mut ids: Vec<_> = asked
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "no two requests are the same");
    let mut moved = asked[0].clone();
    "/users/eve".clone_into(&mut moved.target);
    assert!(!is_signed(&moved, SECRET), "a signature is for one user");
}

#[tokio::test]
async fn the_secret_may_come_from_a_file() {
    let (loader, _) = knowing(json!({})).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let file = ("SGW_PROFILE_LOADER_SECRET_FILE", path.to_str().unwrap());
    get(&with(&loader, &[file]).admin(), "ana")
        .await
        .expect(200);
    assert!(is_signed(&loader.asked()[0], SECRET));
}

#[tokio::test]
async fn a_request_is_a_bare_get() {
    let (loader, _) = knowing(json!({})).await;
    get(&gateway(&loader).admin(), "ana").await.expect(200);
    let asked = &loader.asked()[0];
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/users/ana")
    );
    assert_eq!(
        asked.header("host"),
        Some(loader.address.to_string().as_str())
    );
    assert_eq!(asked.header("accept"), Some("application/json"));
    for absent in [
        "authorization",
        "cookie",
        "webhook-signature",
        "content-length",
    ] {
        assert_eq!(asked.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn a_login_id_changes_only_its_own_place() {
    let (loader, _) = knowing(json!({})).await;
    let app = gateway(&loader);
    let admin = app.admin();
    let logins = [
        "a/b",
        "/",
        "a/../../admin",
        "..%2f..",
        "...",
        "x?y=z",
        "x#y",
        "x y",
        "x;y",
        "@evil.example",
        "//evil.example/",
        "http://evil.example/",
        "\\\\evil",
        "{login_id}",
        "%2e%2e",
        "%",
        "ä€😀",
        "a&b=c+d",
        &"é".repeat(128),
    ];
    for login in logins {
        let encoded = utf8_percent_encode(login, NON_ALPHANUMERIC).to_string();
        get(&admin, &encoded).await.expect(200);
        let asked = loader.asked().pop().unwrap();
        assert_eq!(
            asked.header("host"),
            Some(loader.address.to_string().as_str())
        );
        let place = asked.target.strip_prefix("/users/").unwrap();
        assert!(!place.contains(['/', '?', '#', '&', ';', '\\']), "{place}");
        let decoded = percent_decode_str(place).decode_utf8().unwrap();
        assert_eq!(decoded, login);
    }
    assert_eq!(loader.count(), logins.len());
}

#[tokio::test]
async fn the_place_of_the_login_id_can_be_chosen() {
    for (rest, target) in [
        ("/v1/{login_id}/profile?full=1", "/v1/a%2Fb/profile?full=1"),
        ("/find?user={login_id}&full=1", "/find?user=a%2Fb&full=1"),
        ("", "/?login_id=a%2Fb"),
        ("/find?full=1", "/find?full=1&login_id=a%2Fb"),
    ] {
        let (loader, _) = knowing(json!({})).await;
        let url = format!("http://{}{rest}", loader.address);
        let app = TestApp::with(&[("SGW_PROFILE_LOADER_URL", &url)]);
        get(&app.admin(), "a%2Fb").await.expect(200);
        assert_eq!(loader.asked()[0].target, target);
    }
}
