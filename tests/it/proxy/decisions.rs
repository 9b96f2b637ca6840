//! Who may pass.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::{
    PATHS, ask, assert_allowed, assert_refused, from, gateway, over_losable, proxy, with_token,
};
use crate::support::{ADMIN_SECRET, TestApp, open};

/// Never given out, but of the right form.
const UNKNOWN: &str = "foreign-token-0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn a_good_token_passes_wherever_it_stands() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let proxy = proxy(&app);
    for path in PATHS {
        for (name, value) in [
            ("authorization", format!("Bearer {}", session.token)),
            ("x-session-token", session.token.clone()),
            ("cookie", format!("a=b; sid={}", session.token)),
        ] {
            let answer = proxy.get(path).header(name, &value).await;
            assert_allowed(&answer, "ana");
            assert_eq!(answer.header("x-auth-session-id"), session.id);
        }
    }
}

#[tokio::test]
async fn the_query_is_no_place_for_a_token_and_no_cookie_is_read_unless_it_is_named() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    for path in PATHS {
        let path = format!("{path}?token={0}&access_token={0}", session.token);
        assert_refused(&proxy(&app).get(path).await, 401, "token_missing");
    }
    let plain = TestApp::with(&[("SGW_TRUSTED_PROXIES", "10.0.0.0/8")]);
    let session = open(&plain.admin(), json!({"login_id": "ana"})).await;
    let cookies = format!("sid={0}; session={0}; session_token={0}", session.token);
    let answer = proxy(&plain).get("/auth/nginx").header("cookie", &cookies);
    assert_refused(&answer.await, 401, "token_missing");
}

#[tokio::test]
async fn a_bad_token_is_401_and_tells_which_way_it_is_bad() {
    let app = gateway();
    let admin = app.admin();
    let logged_out = open(&admin, json!({"login_id": "ana"})).await;
    admin.delete(logged_out.path()).await.expect(204);
    let expired = open(
        &admin,
        json!({"login_id": "ana", "idle_timeout_seconds": 5}),
    )
    .await;
    let good = open(&admin, json!({"login_id": "ana"})).await;
    app.pass(Duration::from_secs(6));
    let proxy = proxy(&app);
    for path in PATHS {
        assert_refused(&proxy.get(path).await, 401, "token_missing");
        assert_refused(&ask(&proxy, path, "junk").await, 401, "token_invalid");
        assert_refused(&ask(&proxy, path, UNKNOWN).await, 401, "token_invalid");
        assert_refused(
            &ask(&proxy, path, &logged_out.token).await,
            401,
            "session_ended",
        );
        assert_refused(&ask(&proxy, path, &expired.token).await, 401, "expired");
        assert_allowed(&ask(&proxy, path, &good.token).await, "ana");
    }
}

#[tokio::test]
async fn a_proxy_is_known_by_its_address_or_by_its_credentials() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let verifier = json!({
        "service_id": "edge", "service_name": "Edge", "permissions": ["token.verify"],
    });
    let made = app
        .admin()
        .post("/v1/services")
        .json(&verifier)
        .await
        .value(201);
    let secret = made["secret"].as_str().unwrap();
    let stranger = from(&app.state, "192.0.2.1");
    for path in PATHS {
        let call = || with_token(stranger.get(path), &session.token);
        let as_service = |id: &str, secret: &str| {
            call()
                .header("x-service-id", id)
                .header("x-service-secret", secret)
        };
        assert_allowed(&as_service("edge", secret).await, "ana");
        assert_refused(&call().await, 403, "proxy_unauthenticated");
        for refused in [
            as_service("edge", "wrong"),
            as_service("nobody", secret),
            as_service("edge", secret).header("x-service-id", "edge"),
            call().header("x-service-id", "edge"),
            call().header("x-forwarded-for", "10.1.2.3"),
        ] {
            assert_refused(&refused.await, 403, "proxy_unauthenticated");
        }
    }
}

#[tokio::test]
async fn a_service_without_the_permission_is_no_proxy() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let reader = json!({
        "service_id": "reader", "service_name": "Reader", "permissions": ["session.*"],
    });
    let made = app
        .admin()
        .post("/v1/services")
        .json(&reader)
        .await
        .value(201);
    let answer = with_token(
        from(&app.state, "192.0.2.1").get("/auth/nginx"),
        &session.token,
    )
    .header("x-service-id", "reader")
    .header("x-service-secret", made["secret"].as_str().unwrap())
    .await;
    assert_refused(&answer, 403, "proxy_unauthenticated");
}

#[tokio::test]
async fn the_basic_credentials_of_a_user_are_not_those_of_the_proxy() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let stranger = from(&app.state, "192.0.2.1").as_service("admin", ADMIN_SECRET);
    let call = || {
        stranger
            .get("/auth/nginx")
            .header("x-session-token", &session.token)
    };
    assert_refused(&call().await, 403, "proxy_unauthenticated");
    let proved = call()
        .header("x-service-id", "admin")
        .header("x-service-secret", ADMIN_SECRET);
    assert_allowed(&proved.await, "ana");
}

#[tokio::test]
async fn failures_of_proxies_count_and_are_told_to_wait_in_the_words_of_proxies() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let stranger = from(&app.state, "192.0.2.1");
    let ask_as_admin = |secret: &str| {
        with_token(stranger.get("/auth/forward"), &session.token)
            .header("x-service-id", "admin")
            .header("x-service-secret", secret)
    };
    let mut told_to_wait = 0;
    for number in 0..150 {
        let answer = ask_as_admin("wrong").await;
        assert_refused(&answer, 403, "proxy_unauthenticated");
        let waits = answer.headers.contains_key("retry-after");
        assert!(!waits || number >= 100, "{number}");
        told_to_wait += u32::from(waits);
    }
    assert!(told_to_wait > 0);
    assert_allowed(&ask_as_admin(ADMIN_SECRET).await, "ana");
    let limited = stranger
        .as_service("admin", "wrong")
        .get("/v1/whoami")
        .await;
    limited.problem(429, "rate_limited");
}

#[tokio::test]
async fn a_missing_token_is_told_first_then_what_is_wrong_with_the_proxy() {
    let app = gateway();
    let stranger = from(&app.state, "192.0.2.1");
    let bad = "/auth/nginx?nonsense=1";
    assert_refused(&stranger.get(bad).await, 401, "token_missing");
    for token in [UNKNOWN, "junk"] {
        assert_refused(
            &ask(&stranger, bad, token).await,
            403,
            "proxy_unauthenticated",
        );
        let proxy = proxy(&app);
        assert_refused(&ask(&proxy, bad, token).await, 403, "misconfigured");
    }
}

#[tokio::test]
async fn every_method_and_every_path_of_envoy_is_a_question_like_any_other() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let proxy = proxy(&app);
    let long = format!("/auth/envoy/{}", "a".repeat(8_000));
    for path in [
        "/auth/nginx",
        "/auth/nginx/",
        "/auth/forward",
        "/auth/forward/",
        "/auth/envoy",
        "/auth/envoy/",
        "/auth/envoy//",
        "/auth/envoy/v1/sessions",
        "/auth/envoy/../v1",
        "/auth/envoy/%2e%2e/%00/%ff/%zz/%",
        "/auth/envoy/a?x=%ff&%&login_url=https://login.example.com",
        "/auth/envoy/auth/nginx?require=a:b",
        long.as_str(),
    ] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE",
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let call = || proxy.call(method.clone(), path);
            assert_allowed(&with_token(call(), &session.token).await, "ana");
            assert_refused(&call().await, 401, "token_missing");
            let with_body = with_token(call(), UNKNOWN).text("text/plain", "not read");
            assert_refused(&with_body.await, 401, "token_invalid");
        }
    }
}

#[tokio::test]
async fn a_yes_is_use_of_the_session_and_no_cache_directive_changes_it() {
    let app = gateway();
    let new = json!({"login_id": "ana", "idle_timeout_seconds": 60});
    let session = open(&app.admin(), new).await;
    for _ in 0..5 {
        app.pass(Duration::from_secs(40));
        let call = with_token(proxy(&app).get("/auth/nginx"), &session.token);
        let answer = call.header("cache-control", "no-cache").await;
        assert_allowed(&answer, "ana");
        let expires_at = json!(answer.header("x-auth-expires-at"));
        assert_eq!(app.seconds_until(&expires_at), 60);
    }
    app.pass(Duration::from_secs(61));
    let late = ask(&proxy(&app), "/auth/nginx", &session.token).await;
    assert_refused(&late, 401, "expired");
}

#[tokio::test]
async fn unknown_is_503_and_asks_for_patience() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    let client = from(&state, "10.1.2.3");
    store.lose(true);
    for path in PATHS {
        let answer = ask(&client, path, &session.token).await.expect(503);
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.body.is_empty(), "{answer:?}");
        assert_refused(&client.get(path).await, 401, "token_missing");
        assert_refused(&ask(&client, path, "junk").await, 401, "token_invalid");
    }
    store.lose(false);
    assert_allowed(&ask(&client, PATHS[0], &session.token).await, "ana");
}

#[tokio::test]
async fn unknown_is_told_before_envoy_stops_to_wait() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    let client = from(&state, "10.1.2.3");
    store.lose(true);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    ask(&client, "/auth/envoy", &session.token)
        .await
        .expect(503);
    assert!(started.elapsed() < Duration::from_millis(200));
}
