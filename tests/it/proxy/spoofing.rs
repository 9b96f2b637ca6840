//! What an app behind a real proxy sees of the user: what the gateway says, nothing that a client says.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::real::{Site, seen};
use super::sample::Kind;
use super::samples::{log_in, passed};
use super::with_token;
use crate::support::open;

/// Every identity header in every spelling that some framework takes for it, twice.
fn spoofed() -> String {
    let mut lines = String::new();
    for name in [
        "Login-Id",
        "Session-Id",
        "Device",
        "Expires-At",
        "Omitted",
        "Attr-Role",
    ] {
        let name = format!("X-Auth-{name}");
        for spelling in [
            name.clone(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
            name.to_lowercase().replace('-', "_"),
            name.to_uppercase().replace('-', "_"),
        ] {
            let line = format!("{spelling}: mallory\r\n");
            lines.push_str(&line);
            lines.push_str(&line);
        }
    }
    lines
}

/// A whole request with these lines.
fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: app.example.com\r\n{lines}Connection: close\r\n\r\n")
}

pub(super) async fn nobody_but_the_gateway_says_who_the_user_is(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    let spoofed = spoofed();
    let with_token = format!("{spoofed}X-Session-Token: {token}\r\n");
    for (path, wanted) in [("/cart", "ana"), ("/public/logo.svg", "")] {
        let answer = site.send_raw(&get(path, &with_token)).await;
        assert!(answer.contains(" 200 OK"), "{path}: {answer}");
        assert!(!answer.contains("mallory"), "{path}: {answer}");
        let body = &answer[answer.find('{').unwrap()..=answer.rfind('}').unwrap()];
        let saw: Value = serde_json::from_str(body).unwrap();
        assert_eq!(seen(&saw, "x-auth-login-id").concat(), wanted, "{path}");
        assert_eq!(seen(&saw, "x-auth-attr-role").concat(), "", "{path}");
    }
    let refused = site.send_raw(&get("/", &spoofed)).await;
    assert!(refused.contains(" 401 "), "{refused}");
    for path in [
        "/public/../cart",
        "/public/%2e%2e/cart",
        "/public/..%2fcart",
        "/cart/..%2fpublic/",
    ] {
        let answer = site.send_raw(&get(path, "")).await;
        let kept_out = answer.contains(" 401 ") || answer.contains(" 400 ");
        assert!(kept_out, "{path}: {answer}");
    }
}

pub(super) async fn odd_values_arrive_as_they_are(kind: Kind) {
    let site = Site::start(kind).await;
    let all: Vec<char> = (0..0x180).filter_map(char::from_u32).collect();
    for piece in all.chunks(96) {
        let text: String = piece.iter().collect();
        let token = log_in(&site, json!({"role": text})).await.token;
        let saw = passed(&site, with_token(site.client().get("/"), &token)).await;
        let arrived = seen(&saw, "x-auth-attr-role").concat();
        assert_eq!(percent_decode_str(&arrived).decode_utf8().unwrap(), text);
    }
    let token = log_in(&site, json!({"role": "x".repeat(20_000)}))
        .await
        .token;
    let saw = passed(&site, with_token(site.client().get("/"), &token)).await;
    assert_eq!(seen(&saw, "x-auth-attr-role").concat(), "");
    assert_eq!(seen(&saw, "x-auth-omitted"), ["role"]);
    let long = "x".repeat(1024);
    let attributes = json!({"role": long, "plan": long, "home.town": long});
    let new = json!({"login_id": "\u{fc}".repeat(128), "attributes": attributes});
    let token = open(&site.gateway.admin(), new).await.token;
    let saw = passed(&site, with_token(site.client().get("/"), &token)).await;
    assert_eq!(seen(&saw, "x-auth-login-id").concat(), "%C3%BC".repeat(128));
    assert_eq!(seen(&saw, "x-auth-attr-role").concat().len(), 1024);
}
