//! What of a client's head goes where behind a real proxy: to the gateway what it reads, to the app all that is its own.

use axum::http::Method;
use serde_json::{Value, json};

use super::real::{Site, seen};
use super::sample::{Kind, Wish};
use super::samples::{assert_refused, log_in, passed};
use crate::support::Call;

fn preflight(call: Call) -> Call {
    call.header("origin", "https://spa.example.org")
        .header("access-control-request-method", "PUT")
}

pub(super) async fn a_preflight_reaches_the_app_where_it_may(kind: Kind) {
    let site = Site::with(kind, Wish::LetsPass("-preflight")).await;
    let client = site.client();
    let saw = passed(&site, preflight(client.call(Method::OPTIONS, "/v"))).await;
    assert_eq!(saw["method"], "OPTIONS");
    assert_eq!(seen(&saw, "x-auth-login-id").concat(), "");
    let no_preflight = client.call(Method::OPTIONS, "/v");
    assert_refused(&site, no_preflight, 401, "token_missing").await;
    let claimed = [
        "x-forwarded-method",
        "x-original-method",
        "x-http-method-override",
    ];
    let claim = |call: Call, name: &&str| call.header(name, "OPTIONS");
    let call = preflight(client.get("/v?optional=true&preflight=allow"));
    let claims = claimed.iter().fold(call, claim);
    assert_refused(&site, claims, 401, "token_missing").await;
    let as_shipped = Site::start(kind).await;
    let call = preflight(as_shipped.client().call(Method::OPTIONS, "/v"));
    assert_refused(&as_shipped, call, 401, "token_missing").await;
}

pub(super) async fn who_is_not_logged_in_passes_where_that_is_optional(kind: Kind) {
    let site = Site::with(kind, Wish::LetsPass("-optional")).await;
    let token = log_in(&site, json!({})).await.token;
    let ask = |cookie: &str| site.client().get("/").header("cookie", cookie);
    let spoofed = |cookie: &str| {
        ask(cookie)
            .header("x-auth-login-id", "mallory")
            .header("x-auth-reason", "mallory")
    };
    let saw = passed(&site, spoofed(&format!("sid={token}"))).await;
    assert_eq!(seen(&saw, "x-auth-login-id"), ["ana"]);
    assert_eq!(seen(&saw, "x-auth-reason").concat(), "");
    for (cookie, reason) in [("a=b", "token_missing"), ("sid=junk", "token_invalid")] {
        let saw = passed(&site, spoofed(cookie)).await;
        assert_eq!(seen(&saw, "x-auth-login-id").concat(), "", "{saw}");
        assert_eq!(seen(&saw, "x-auth-reason"), [reason]);
    }
}

/// Too much for the gateway, but not for these proxies: HAProxy itself takes less.
fn cookies_of_the_app(kind: Kind) -> Vec<String> {
    let (lines, bytes) = if kind == Kind::Haproxy {
        (2, 5_000)
    } else {
        (4, 6_000)
    };
    let line = |number| format!("app{number}={}", "x".repeat(bytes));
    (0..lines).map(line).collect()
}

pub(super) async fn the_app_keeps_its_own_token_and_all_cookies(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    let own = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJlLW9mLXRoZS1hcHA";
    let of_app = cookies_of_the_app(kind);
    for session in [
        format!("sid={token}"),
        format!("sid=\"{token}\""),
        format!("a=1;sid={token} ; sid=old; b=\"2\""),
        format!("xsid=1; sid=old; c=3; sid={token}"),
    ] {
        let call = site.client().get("/").header("authorization", own);
        let call = of_app
            .iter()
            .fold(call, |call, line| call.header("cookie", line));
        let saw = passed(&site, call.header("cookie", &session)).await;
        assert_eq!(seen(&saw, "x-auth-login-id"), ["ana"], "{session}");
        assert_eq!(seen(&saw, "authorization"), [own]);
        let cookies = seen(&saw, "cookie").concat();
        for cookie in of_app.iter().chain([&session]) {
            assert!(cookies.contains(cookie.as_str()), "{cookie} in {cookies}");
        }
    }
}

fn upgrade(token: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: app.example.com\r\nCookie: sid={token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

pub(super) async fn a_socket_opens_with_a_session_only(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    let opened = site.open_socket(&upgrade(&token)).await;
    assert!(
        opened.starts_with("HTTP/1.1 101 "),
        "{opened} {}",
        site.log()
    );
    assert!(
        opened.to_lowercase().contains("x-seen-login: ana\r\n"),
        "{opened}"
    );
    let refused = site.open_socket(&upgrade("junk")).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
}

/// Headers that `Connection` names go no further than the next hop.
pub(super) async fn a_connection_header_takes_nothing_from_the_app(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({"role": "admin"})).await.token;
    for hostile in [
        "Connection: close, X-Auth-Login-Id, X-Auth-Attr-Role\r\n",
        "Connection: close\r\nConnection: x-auth-login-id\r\nConnection: x-auth-attr-role\r\n",
    ] {
        let head =
            format!("GET / HTTP/1.1\r\nHost: app.example.com\r\nX-Session-Token: {token}\r\n");
        let answer = site.send_raw(&format!("{head}{hostile}\r\n")).await;
        assert!(answer.contains(" 200 OK"), "{answer} {}", site.log());
        let body = &answer[answer.find('{').unwrap()..=answer.rfind('}').unwrap()];
        let saw: Value = serde_json::from_str(body).unwrap();
        assert_eq!(seen(&saw, "x-auth-login-id"), ["ana"], "{saw}");
        assert_eq!(seen(&saw, "x-auth-attr-role"), ["admin"], "{saw}");
        let connection = seen(&saw, "connection").concat().to_lowercase();
        assert!(!connection.contains("x-auth"), "{connection}");
    }
}

#[tokio::test]
async fn what_envoy_lets_through_is_asked_about_and_not_refused() {
    let site = Site::start(Kind::Envoy).await;
    let token = log_in(&site, json!({})).await.token;
    let status = async |target: &str, token: &str| {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: app.example.com\r\nCookie: sid={token}\r\nConnection: close\r\n\r\n"
        );
        let answer = site.send_raw(&request).await;
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let long = format!("/?q={}", "x".repeat(9_000));
    for target in [
        "/?filter={\"a\":1}",
        "/?q=<b>",
        "/?q=a|b^c`d",
        "/?q=%",
        "//x",
        &long,
    ] {
        assert_eq!(status(target, "junk").await, "401", "{target}");
        // The app may not take it, as on an open path.
        let open = status(&format!("/public{target}"), "").await;
        assert_eq!(status(target, &token).await, open, "{target}");
    }
}

#[tokio::test]
async fn a_path_too_long_to_return_to_is_asked_about_all_the_same() {
    let site = Site::start(Kind::Caddy).await;
    let token = log_in(&site, json!({})).await.token;
    let path = format!("/{}", "a".repeat(20_000));
    let call = site.client().get(&path).header("x-session-token", &token);
    let saw = passed(&site, call).await;
    assert_eq!(saw["path"], path);
    assert_refused(&site, site.client().get(&path), 401, "token_missing").await;
}

#[tokio::test]
async fn caddy_that_hands_on_the_query_of_its_client_is_misconfigured() {
    let site = Site::with(Kind::Caddy, Wish::QueryOfTheClient).await;
    let token = log_in(&site, json!({})).await.token;
    let ask = |path: &str| site.client().get(path).header("x-session-token", &token);
    passed(&site, ask("/cart")).await;
    assert_refused(&site, ask("/cart?id=1"), 403, "misconfigured").await;
    for widening in ["/cart?optional=true", "/cart?preflight=allow"] {
        let call = preflight(site.client().call(Method::OPTIONS, widening));
        assert_refused(&site, call, 401, "token_missing").await;
    }
}
