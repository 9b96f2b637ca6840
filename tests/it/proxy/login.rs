//! Sending a person to log in.

use serde_json::json;

use super::{assert_refused, from, gateway, over_losable, proxy};
use crate::support::{ADMIN_SECRET, Answer, Call, Client, open};

const PAGE: &str = "login_url=https%3A%2F%2Flogin.example.com%2Fin";

/// A navigation as a proxy tells of it.
fn navigation(client: &Client, path: &str) -> Call {
    client
        .get(path)
        .header("sec-fetch-mode", "navigate")
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "app.example.com")
        .header("x-forwarded-uri", "/cart?id=1")
}

#[track_caller]
fn assert_sent_to(answer: &Answer, location: &str) {
    assert_eq!(answer.status, 302, "{answer:?}");
    assert_eq!(answer.header("location"), location);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.is_empty(), "{answer:?}");
}

const WITH_RETURN: &str =
    "https://login.example.com/in?return_to=https%3A%2F%2Fapp.example.com%2Fcart%3Fid%3D1";
const WITHOUT_RETURN: &str = "https://login.example.com/in";

#[tokio::test]
async fn a_browser_without_a_good_token_is_sent_to_the_login_page() {
    let app = gateway();
    let ended = open(&app.admin(), json!({"login_id": "ana"})).await;
    app.admin().delete(ended.path()).await.expect(204);
    let path = format!("/auth/forward?{PAGE}");
    let call = || navigation(&proxy(&app), &path);
    assert_sent_to(&call().await, WITH_RETURN);
    assert_sent_to(
        &call().header("x-session-token", &ended.token).await,
        WITH_RETURN,
    );
    assert_sent_to(&call().header("x-session-token", "junk").await, WITH_RETURN);
    let by_method = navigation(&proxy(&app), &path).header("accept", "text/html");
    assert_sent_to(&by_method.await, WITH_RETURN);
}

#[tokio::test]
async fn only_forward_and_only_allowed_origins_redirect() {
    let app = gateway();
    let proxy = proxy(&app);
    for path in [
        format!("/auth/nginx?{PAGE}"),
        format!("/auth/envoy?{PAGE}"),
        "/auth/forward".to_owned(),
        "/auth/forward?login_url=https%3A%2F%2Fevil.example.com%2F".to_owned(),
        "/auth/forward?login_url=https%3A%2F%2Flogin.example.com%40evil.example.com%2F".to_owned(),
        "/auth/forward?login_url=%2F%2Flogin.example.com".to_owned(),
        "/auth/forward?login_url=javascript%3Aalert(1)".to_owned(),
        "/auth/forward?login_url=blob%3Ahttps%3A%2F%2Flogin.example.com%2Fin".to_owned(),
    ] {
        let answer = navigation(&proxy, &path).await;
        assert_refused(&answer, 401, "token_missing");
    }
}

#[tokio::test]
async fn a_script_and_a_form_are_told_401() {
    let app = gateway();
    let path = format!("/auth/forward?{PAGE}");
    let proxy = proxy(&app);
    let posted = proxy.get(&path).header("x-forwarded-method", "POST");
    for call in [
        posted.header("sec-fetch-mode", "navigate"),
        proxy
            .get(&path)
            .header("sec-fetch-mode", "cors")
            .header("accept", "text/html"),
        proxy.get(&path).header("accept", "application/json"),
        navigation(&proxy, &path).header("x-requested-with", "XMLHttpRequest"),
        proxy.post(&path).header("accept", "text/html"),
    ] {
        assert_refused(&call.await, 401, "token_missing");
    }
}

#[tokio::test]
async fn who_may_not_pass_is_not_sent_to_log_in() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let path = format!("/auth/forward?{PAGE}&require=role:admin");
    let call = navigation(&proxy(&app), &path).header("x-session-token", &session.token);
    assert_refused(&call.await, 403, "requirement_not_met");
}

#[tokio::test]
async fn the_way_back_is_believed_only_from_a_proxy_of_ours() {
    let app = gateway();
    let path = format!("/auth/forward?{PAGE}");
    let stranger = from(&app.state, "192.0.2.1");
    assert_sent_to(&navigation(&stranger, &path).await, WITHOUT_RETURN);
    let proved = navigation(&stranger, &path)
        .header("x-service-id", "admin")
        .header("x-service-secret", ADMIN_SECRET);
    assert_sent_to(&proved.await, WITH_RETURN);
    let page = navigation(&stranger, &path)
        .header("x-service-id", "admin")
        .header("x-service-secret", "wrong");
    assert_sent_to(&page.await, WITHOUT_RETURN);
    let spoofed = proxy(&app).get(&path).header("accept", "text/html");
    let spoofed = spoofed
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "app@evil.example.com")
        .header("x-forwarded-uri", "/");
    assert_sent_to(&spoofed.await, WITHOUT_RETURN);
}

#[tokio::test]
async fn unknown_is_503_for_a_browser_too() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    store.lose(true);
    let path = format!("/auth/forward?{PAGE}");
    let client = from(&state, "10.1.2.3");
    let call = navigation(&client, &path).header("x-session-token", &session.token);
    call.await.expect(503);
    assert_sent_to(&navigation(&client, &path).await, WITH_RETURN);
}
