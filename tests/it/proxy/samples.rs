//! The same promises through every real proxy.

use std::time::Duration;

use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::real::{Site, seen};
use super::sample::{Kind, Wish};
use crate::support::{ADMIN_SECRET, Answer, Call, Opened, open};

const UNKNOWN: &str = "foreign-token-0123456789abcdef0123456789abcdef";

/// Makes the tests of one proxy.
macro_rules! through {
    ($($proxy:ident: $kind:expr;)+) => {$(
        mod $proxy {
            use super::Kind;

            through! { @tests $kind,
                a_good_token_reaches_the_app_with_the_identity
                every_method_and_body_passes
                a_bad_token_never_reaches_the_app
                who_may_not_pass_is_told_403
                unknown_is_503_at_the_client
                without_a_gateway_nobody_passes
                nobody_but_the_gateway_says_who_the_user_is
                odd_values_arrive_as_they_are
                a_logout_is_seen_by_the_next_request
                a_proxy_without_a_trusted_address_proves_itself
            }
        }
    )+};
    (@tests $kind:expr, $($test:ident)+) => {$(
        #[tokio::test]
        async fn $test() {
            super::$test($kind).await;
        }
    )+};
}

through! {
    nginx: Kind::Nginx;
    caddy: Kind::Caddy;
    haproxy: Kind::Haproxy;
    envoy: Kind::Envoy;
}

async fn log_in(site: &Site, attributes: Value) -> Opened {
    let new = json!({"login_id": "ana", "device": "web", "attributes": attributes});
    open(&site.gateway.admin(), new).await
}

fn with_token(call: Call, token: &str) -> Call {
    call.header("authorization", &format!("Bearer {token}"))
}

/// What the app has seen of a request that passed.
#[track_caller]
fn passed(site: &Site, answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?} {}", site.log());
    answer.json()
}

#[track_caller]
fn assert_refused(site: &Site, answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?} {}", site.log());
    assert_eq!(answer.header("x-auth-reason"), reason);
    let challenged = answer.headers.contains_key("www-authenticate");
    assert_eq!(challenged, status == 401, "{answer:?}");
}

async fn a_good_token_reaches_the_app_with_the_identity(kind: Kind) {
    let site = Site::start(kind).await;
    let session = log_in(&site, json!({"role": "admin"})).await;
    for (name, value) in [
        ("authorization", format!("Bearer {}", session.token)),
        ("x-session-token", session.token.clone()),
        ("cookie", format!("a=b; sid={}", session.token)),
    ] {
        let answer = site
            .client()
            .get("/cart?id=1&require=role:nobody")
            .header(name, &value)
            .await;
        let saw = passed(&site, &answer);
        assert_eq!(saw["path"], "/cart?id=1&require=role:nobody");
        assert_eq!(seen(&saw, "x-auth-login-id"), ["ana"]);
        assert_eq!(seen(&saw, "x-auth-session-id"), [session.id.as_str()]);
        assert_eq!(seen(&saw, "x-auth-device"), ["web"]);
        assert_eq!(seen(&saw, "x-auth-attr-role"), ["admin"]);
        assert_eq!(seen(&saw, "x-auth-expires-at").len(), 1);
    }
}

async fn every_method_and_body_passes(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    let client = site.client();
    for method in [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ] {
        for length in [0, 10, 100_000] {
            let call = with_token(client.call(method.clone(), "/"), &token);
            let call = call.text("text/plain", "x".repeat(length));
            let saw = passed(&site, &call.await);
            assert_eq!(saw["method"], method.as_str());
            assert_eq!(saw["body_bytes"], length);
        }
    }
    let head = with_token(client.call(Method::HEAD, "/"), &token).await;
    assert_eq!(head.status, 200, "{head:?} {}", site.log());
    let head =
        format!("host: app.example.com\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    let chunked =
        format!("POST / HTTP/1.1\r\n{head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let answer = site.raw(&chunked).await;
    assert!(answer.contains("\"body_bytes\":3"), "{answer}");
    let patient =
        format!("POST / HTTP/1.1\r\n{head}expect: 100-continue\r\ncontent-length: 3\r\n\r\nabc");
    let answer = site.raw(&patient).await;
    assert!(answer.contains("\"body_bytes\":3"), "{answer}");
    let old = site.raw(&format!("GET / HTTP/1.0\r\n{head}\r\n")).await;
    // Envoy takes no HTTP/1.0.
    let wanted = if kind == Kind::Envoy {
        " 426 "
    } else {
        " 200 "
    };
    assert!(old.contains(wanted), "{old}");
}

async fn a_bad_token_never_reaches_the_app(kind: Kind) {
    let site = Site::start(kind).await;
    let admin = site.gateway.admin();
    let ended = log_in(&site, json!({})).await;
    admin.delete(ended.path()).await.expect(204);
    let expired = open(
        &admin,
        json!({"login_id": "ana", "idle_timeout_seconds": 5}),
    )
    .await;
    let good = log_in(&site, json!({})).await;
    site.gateway.pass(Duration::from_secs(6));
    let client = site.client();
    for method in [Method::GET, Method::POST] {
        let call = || {
            client
                .call(method.clone(), "/cart")
                .text("text/plain", "a body")
        };
        let by_query = client.call(
            method.clone(),
            format!("/cart?token={0}&access_token={0}", good.token),
        );
        assert_refused(&site, &call().await, 401, "token_missing");
        assert_refused(&site, &by_query.await, 401, "token_missing");
        assert_refused(
            &site,
            &with_token(call(), "junk").await,
            401,
            "token_invalid",
        );
        assert_refused(
            &site,
            &with_token(call(), UNKNOWN).await,
            401,
            "token_invalid",
        );
        assert_refused(
            &site,
            &with_token(call(), &ended.token).await,
            401,
            "session_ended",
        );
        assert_refused(
            &site,
            &with_token(call(), &expired.token).await,
            401,
            "expired",
        );
        let two = with_token(call(), &good.token).header("x-session-token", UNKNOWN);
        assert_refused(&site, &two.await, 401, "token_ambiguous");
        let twice = call()
            .header("x-session-token", &good.token)
            .header("x-session-token", UNKNOWN);
        // Envoy makes one line of two, which has the form of no token.
        let reason = if kind == Kind::Envoy {
            "token_invalid"
        } else {
            "token_ambiguous"
        };
        assert_refused(&site, &twice.await, 401, reason);
    }
}

async fn who_may_not_pass_is_told_403(kind: Kind) {
    let site = Site::with(kind, Wish::Conditions("role:admin", "web")).await;
    let admin = log_in(&site, json!({"role": "admin"})).await;
    let user = log_in(&site, json!({"role": "user"})).await;
    let on_phone = json!({"login_id": "ana", "device": "ios", "attributes": {"role": "admin"}});
    let on_phone = open(&site.gateway.admin(), on_phone).await;
    let ask = async |token: &str| with_token(site.client().get("/"), token).await;
    passed(&site, &ask(&admin.token).await);
    assert_refused(&site, &ask(&user.token).await, 403, "requirement_not_met");
    assert_refused(&site, &ask(&on_phone.token).await, 403, "device_mismatch");
    let misspelt = Site::with(kind, Wish::Conditions("role", "web")).await;
    let admin = log_in(&misspelt, json!({"role": "admin"})).await;
    let answer = with_token(misspelt.client().get("/"), &admin.token).await;
    assert_refused(&misspelt, &answer, 403, "misconfigured");
}

async fn unknown_is_503_at_the_client(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    site.store.lose(true);
    let answer = with_token(site.client().get("/"), &token).await;
    assert_eq!(answer.status, 503, "{answer:?} {}", site.log());
    assert_eq!(answer.header("retry-after"), "1");
    assert_refused(&site, &site.client().get("/").await, 401, "token_missing");
    site.store.lose(false);
    passed(&site, &with_token(site.client().get("/"), &token).await);
}

async fn without_a_gateway_nobody_passes(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    site.end_gateway();
    let answer = with_token(site.client().get("/"), &token).await;
    assert_eq!(answer.status, 503, "{answer:?} {}", site.log());
    assert_eq!(answer.header("retry-after"), "1");
}

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

async fn nobody_but_the_gateway_says_who_the_user_is(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    let spoofed = spoofed();
    for (path, wanted) in [("/cart", "ana"), ("/public/logo.svg", "")] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: app.example.com\r\n{spoofed}X-Session-Token: {token}\r\n\
             X-Service-Id: admin\r\nX-Service-Secret: wrong\r\nConnection: close\r\n\r\n"
        );
        let answer = site.raw(&request).await;
        assert!(
            answer.contains(" 200 OK"),
            "{path}: {answer} {}",
            site.log()
        );
        assert!(!answer.contains("mallory"), "{path}: {answer}");
        let body = answer
            .find('{')
            .map(|start| &answer[start..=answer.rfind('}').unwrap()]);
        let saw: Value = serde_json::from_str(body.unwrap()).unwrap();
        assert_eq!(seen(&saw, "x-auth-login-id").concat(), wanted, "{path}");
        assert_eq!(seen(&saw, "x-auth-attr-role").concat(), "", "{path}");
    }
    let refused = site
        .raw(&format!(
            "GET / HTTP/1.1\r\nHost: app.example.com\r\n{spoofed}Connection: close\r\n\r\n"
        ))
        .await;
    assert!(refused.contains(" 401 "), "{refused}");
    for path in [
        "/public/../cart",
        "/public/%2e%2e/cart",
        "/public/..%2fcart",
        "/cart/..%2fpublic/",
    ] {
        let answer = site
            .raw(&format!(
                "GET {path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(
            answer.contains(" 401 ") || answer.contains(" 400 "),
            "{path}: {answer}"
        );
    }
}

async fn odd_values_arrive_as_they_are(kind: Kind) {
    let site = Site::start(kind).await;
    let all: Vec<char> = (0..0x180).filter_map(char::from_u32).collect();
    for piece in all.chunks(96) {
        let text: String = piece.iter().collect();
        let token = log_in(&site, json!({"role": text})).await.token;
        let saw = passed(&site, &with_token(site.client().get("/"), &token).await);
        let arrived = seen(&saw, "x-auth-attr-role").concat();
        assert_eq!(percent_decode_str(&arrived).decode_utf8().unwrap(), text);
    }
    let long = log_in(&site, json!({"role": "x".repeat(20_000)})).await;
    let saw = passed(
        &site,
        &with_token(site.client().get("/"), &long.token).await,
    );
    assert_eq!(seen(&saw, "x-auth-attr-role").concat(), "");
    assert_eq!(seen(&saw, "x-auth-omitted"), ["role"]);
    let full =
        json!({"role": "r".repeat(1024), "plan": "p".repeat(1024), "home.town": "h".repeat(1024)});
    let full = open(
        &site.gateway.admin(),
        json!({"login_id": "\u{fc}".repeat(128), "attributes": full}),
    )
    .await;
    let saw = passed(
        &site,
        &with_token(site.client().get("/"), &full.token).await,
    );
    assert_eq!(seen(&saw, "x-auth-login-id").concat(), "%C3%BC".repeat(128));
    assert_eq!(seen(&saw, "x-auth-attr-role").concat().len(), 1024);
}

async fn a_logout_is_seen_by_the_next_request(kind: Kind) {
    let site = Site::start(kind).await;
    let client = site.client();
    for _ in 0..5 {
        let session = log_in(&site, json!({})).await;
        passed(&site, &with_token(client.get("/"), &session.token).await);
        site.gateway
            .admin()
            .delete(session.path())
            .await
            .expect(204);
        let answer = with_token(client.get("/"), &session.token).await;
        assert_refused(&site, &answer, 401, "session_ended");
    }
}

#[tokio::test]
async fn a_browser_is_sent_to_log_in_through_those_that_hand_a_refusal_on() {
    for kind in [Kind::Caddy, Kind::Haproxy] {
        let site = Site::with(
            kind,
            Wish::LoginPage("https%3A%2F%2Flogin.example.com%2Fin"),
        )
        .await;
        let call = site
            .client()
            .get("/cart?id=1")
            .header("accept", "text/html");
        let spoofed = call
            .header("x-forwarded-host", "evil.example.com")
            .header("x-forwarded-proto", "gopher")
            .header("x-forwarded-uri", "/evil")
            .header("x-forwarded-method", "POST");
        let answer = spoofed.await;
        assert_eq!(answer.status, 302, "{kind:?}: {answer:?} {}", site.log());
        let back = format!(
            "http%3A%2F%2F127.0.0.1%3A{}%2Fcart%3Fid%3D1",
            site.address.port()
        );
        let page = format!("https://login.example.com/in?return_to={back}");
        assert_eq!(answer.header("location"), page, "{kind:?}");
        let posted = site
            .client()
            .post("/cart")
            .header("accept", "text/html")
            .await;
        assert_refused(&site, &posted, 401, "token_missing");
    }
}

/// What a proxy adds to prove itself replaces what its client sends.
async fn a_proxy_without_a_trusted_address_proves_itself(kind: Kind) {
    for (secret, status) in [(ADMIN_SECRET, 200), ("not-the-secret", 403)] {
        let site = Site::with(kind, Wish::Service("admin", secret)).await;
        let token = log_in(&site, json!({})).await.token;
        let call = with_token(site.client().get("/"), &token);
        let spoofed = call
            .header("x-service-id", "admin")
            .header("x-service-secret", ADMIN_SECRET);
        let answer = spoofed.await;
        assert_eq!(answer.status, status, "{answer:?} {}", site.log());
    }
}
