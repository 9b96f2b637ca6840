//! The same promises through every real proxy.

use std::panic::Location;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::heads::{
    a_connection_header_takes_nothing_from_the_app, a_preflight_reaches_the_app_where_it_may,
    a_socket_opens_with_a_session_only, the_app_keeps_its_own_token_and_all_cookies,
    who_is_not_logged_in_passes_where_that_is_optional,
};
use super::real::{Site, seen};
use super::sample::{Kind, Wish};
use super::spoofing::{nobody_but_the_gateway_says_who_the_user_is, odd_values_arrive_as_they_are};
use super::with_token;
use crate::support::{ADMIN_SECRET, Call, Opened, open};

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
                a_preflight_reaches_the_app_where_it_may
                who_is_not_logged_in_passes_where_that_is_optional
                the_app_keeps_its_own_token_and_all_cookies
                a_socket_opens_with_a_session_only
                a_connection_header_takes_nothing_from_the_app
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

pub(super) async fn log_in(site: &Site, attributes: Value) -> Opened {
    let new = json!({"login_id": "ana", "device": "web", "attributes": attributes});
    open(&site.gateway.admin(), new).await
}

/// What the app has seen of a request that passes.
#[track_caller]
pub(super) fn passed(site: &Site, call: Call) -> impl Future<Output = Value> {
    let place = Location::caller();
    async move {
        let answer = site.send(call).await;
        assert_eq!(answer.status, 200, "{place}: {answer:?} {}", site.log());
        answer.json()
    }
}

#[track_caller]
pub(super) fn assert_refused(
    site: &Site,
    call: Call,
    status: u16,
    reason: &str,
) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let answer = site.send(call).await;
        assert_eq!(answer.status, status, "{place}: {answer:?} {}", site.log());
        assert_eq!(answer.header("x-auth-reason"), reason, "{place}");
        let challenged = answer.headers.contains_key("www-authenticate");
        assert_eq!(challenged, status == 401, "{place}: {answer:?}");
    }
}

async fn a_good_token_reaches_the_app_with_the_identity(kind: Kind) {
    let site = Site::start(kind).await;
    let session = log_in(&site, json!({"role": "admin"})).await;
    for (name, value) in [
        ("authorization", format!("Bearer {}", session.token)),
        ("x-session-token", session.token.clone()),
        ("cookie", format!("a=b; sid={}", session.token)),
    ] {
        let call = site.client().get("/cart?id=1&require=role:nobody");
        let saw = passed(&site, call.header(name, &value)).await;
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
            let saw = passed(&site, call).await;
            assert_eq!(saw["method"], method.as_str());
            assert_eq!(saw["body_bytes"], length);
        }
    }
    let head = with_token(client.call(Method::HEAD, "/"), &token);
    site.send(head).await.expect(200);
    let head =
        format!("host: app.example.com\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    let chunked =
        format!("POST / HTTP/1.1\r\n{head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let answer = site.send_raw(&chunked).await;
    assert!(answer.contains("\"body_bytes\":3"), "{answer}");
    let patient =
        format!("POST / HTTP/1.1\r\n{head}expect: 100-continue\r\ncontent-length: 3\r\n\r\nabc");
    let answer = site.send_raw(&patient).await;
    assert!(answer.contains("\"body_bytes\":3"), "{answer}");
    let old = format!("GET / HTTP/1.0\r\n{head}\r\n");
    let old = site.send_raw(&old).await;
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
    let short = json!({"login_id": "ana", "idle_timeout_seconds": 5});
    let expired = open(&admin, short).await;
    let good = log_in(&site, json!({})).await;
    let ben = open(&admin, json!({"login_id": "ben"})).await;
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
        assert_refused(&site, call(), 401, "token_missing").await;
        assert_refused(&site, by_query, 401, "token_missing").await;
        assert_refused(&site, with_token(call(), "junk"), 401, "token_invalid").await;
        assert_refused(&site, with_token(call(), UNKNOWN), 401, "token_invalid").await;
        assert_refused(
            &site,
            with_token(call(), &ended.token),
            401,
            "session_ended",
        )
        .await;
        assert_refused(&site, with_token(call(), &expired.token), 401, "expired").await;
        let two = with_token(call(), &good.token).header("x-session-token", &ben.token);
        assert_refused(&site, two, 401, "token_ambiguous").await;
        // nginx tells of the first line only; Envoy makes one of both, which has the form of no token.
        let reason = match kind {
            Kind::Caddy | Kind::Haproxy => "token_ambiguous",
            Kind::Envoy => "token_invalid",
            Kind::Nginx => continue,
        };
        let twice = call()
            .header("x-session-token", &good.token)
            .header("x-session-token", &ben.token);
        assert_refused(&site, twice, 401, reason).await;
    }
}

async fn who_may_not_pass_is_told_403(kind: Kind) {
    let site = Site::with(kind, Wish::Conditions("role:admin", "web")).await;
    let admin = log_in(&site, json!({"role": "admin"})).await;
    let user = log_in(&site, json!({"role": "user"})).await;
    let on_phone = json!({"login_id": "ana", "device": "ios", "attributes": {"role": "admin"}});
    let on_phone = open(&site.gateway.admin(), on_phone).await;
    let ask = |token: &str| with_token(site.client().get("/"), token);
    passed(&site, ask(&admin.token)).await;
    assert_refused(&site, ask(&user.token), 403, "requirement_not_met").await;
    assert_refused(&site, ask(&on_phone.token), 403, "device_mismatch").await;
    let misspelt = Site::with(kind, Wish::Conditions("role", "web")).await;
    let admin = log_in(&misspelt, json!({"role": "admin"})).await;
    let call = with_token(misspelt.client().get("/"), &admin.token);
    assert_refused(&misspelt, call, 403, "misconfigured").await;
}

async fn unknown_is_503_at_the_client(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    site.store.lose(true);
    let answer = with_token(site.client().get("/"), &token).await;
    assert_eq!(answer.status, 503, "{answer:?} {}", site.log());
    assert_eq!(answer.header("retry-after"), "1");
    assert_refused(&site, site.client().get("/"), 401, "token_missing").await;
    site.store.lose(false);
    passed(&site, with_token(site.client().get("/"), &token)).await;
}

async fn without_a_gateway_nobody_passes(kind: Kind) {
    let site = Site::start(kind).await;
    let token = log_in(&site, json!({})).await.token;
    site.end_gateway();
    let answer = with_token(site.client().get("/"), &token).await;
    assert_eq!(answer.status, 503, "{answer:?} {}", site.log());
    assert_eq!(answer.header("retry-after"), "1");
}

async fn a_logout_is_seen_by_the_next_request(kind: Kind) {
    let site = Site::start(kind).await;
    let client = site.client();
    for _ in 0..5 {
        let session = log_in(&site, json!({})).await;
        passed(&site, with_token(client.get("/"), &session.token)).await;
        let admin = site.gateway.admin();
        admin.delete(session.path()).await.expect(204);
        let call = with_token(client.get("/"), &session.token);
        assert_refused(&site, call, 401, "session_ended").await;
    }
}

#[tokio::test]
async fn a_cache_in_front_of_the_gateway_keeps_no_answer() {
    let site = Site::with(Kind::Nginx, Wish::Cache).await;
    let session = log_in(&site, json!({})).await;
    let call = || with_token(site.client().get("/"), &session.token);
    for _ in 0..3 {
        passed(&site, call()).await;
    }
    let end = site.gateway.admin().delete(session.path());
    end.await.expect(204);
    assert_refused(&site, call(), 401, "session_ended").await;
    let again = open(&site.gateway.admin(), json!({"login_id": "ben"})).await;
    let saw = passed(&site, with_token(site.client().get("/"), &again.token)).await;
    assert_eq!(seen(&saw, "x-auth-login-id"), ["ben"]);
}

#[tokio::test]
async fn a_browser_is_sent_to_log_in_through_those_that_hand_a_refusal_on() {
    for kind in [Kind::Caddy, Kind::Haproxy] {
        let page = "https%3A%2F%2Flogin.example.com%2Fin";
        let site = Site::with(kind, Wish::LoginPage(page)).await;
        let call = site.client().get("/cart?id=1");
        let spoofed = call
            .header("accept", "text/html")
            .header("x-forwarded-host", "evil.example.com")
            .header("x-forwarded-proto", "gopher")
            .header("x-forwarded-uri", "/evil")
            .header("x-forwarded-method", "POST");
        let answer = site.send(spoofed).await;
        assert_eq!(answer.status, 302, "{kind:?}: {answer:?} {}", site.log());
        let host = site.address.to_string().replace(':', "%3A");
        let back = format!("http%3A%2F%2F{host}%2Fcart%3Fid%3D1");
        let page = format!("https://login.example.com/in?return_to={back}");
        assert_eq!(answer.header("location"), page, "{kind:?}");
        let posted = site.client().post("/cart").header("accept", "text/html");
        assert_refused(&site, posted, 401, "token_missing").await;
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
        let answer = site.send(spoofed).await;
        assert_eq!(answer.status, status, "{answer:?} {}", site.log());
    }
}
