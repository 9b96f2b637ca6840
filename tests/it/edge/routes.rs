//! The routes that every gateway has, on the whole application.

use std::io::Read;
use std::time::Duration;

use axum::http::Method;
use flate2::read::GzDecoder;
use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn while_draining_the_process_lives_and_is_not_ready() {
    let app = TestApp::new();
    let client = app.nobody();
    assert_eq!(
        client.get("/readyz").await.expect(200).json(),
        json!({"status": "ready"})
    );
    app.state.draining.begin();
    let answer = client.get("/readyz").await.expect(503);
    assert_eq!(
        answer.json(),
        json!({"status": "not_ready", "reason": "draining"})
    );
    client.get("/livez").await.expect(200);
}

#[tokio::test]
async fn the_api_browser_loads_nothing_from_elsewhere() {
    let client = TestApp::new().nobody();
    assert_eq!(
        client.get("/docs").await.expect(303).header("location"),
        "/docs/"
    );
    for path in ["/docs/", "/docs/swagger-initializer.js", "/docs/index.css"] {
        let text = String::from_utf8(client.get(path).await.expect(200).body.to_vec()).unwrap();
        assert!(
            !text.contains("https://") && !text.contains("http://"),
            "{path}: {text}"
        );
        assert!(!text.contains("\"//"), "{path}: {text}");
    }
    client
        .get("/docs/nowhere")
        .await
        .problem(404, "route_not_found");
    let document = client.get("/openapi.json").await.expect(200);
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn who_opens_the_gateway_in_a_browser_comes_to_the_api_browser() {
    let client = TestApp::new().nobody();
    assert_eq!(
        client.get("/").await.expect(303).header("location"),
        "/docs"
    );
    let posted = client.post("/").json(&json!({})).await;
    posted.problem(405, "method_not_allowed");
}

fn gunzipped(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn the_document_and_the_api_browser_are_compressed_for_who_takes_it() {
    let client = TestApp::new().nobody();
    for path in ["/openapi.json", "/docs/", "/docs/swagger-ui-bundle.js"] {
        let plain = client.get(path).await.expect(200);
        assert!(!plain.headers.contains_key("content-encoding"), "{path}");
        assert_eq!(plain.header("vary"), "accept-encoding");
        for accepted in ["gzip", "br;q=1.0, gzip;q=0.5"] {
            let call = client.get(path).header("accept-encoding", accepted);
            let answer = call.await.expect(200);
            assert_eq!(answer.header("content-encoding"), "gzip", "{accepted}");
            assert_eq!(answer.header("vary"), "accept-encoding");
            assert_eq!(answer.header("content-type"), plain.header("content-type"));
            assert!(!answer.headers.contains_key("content-length"), "{path}");
            assert!(answer.body.len() < plain.body.len(), "{path}");
            assert_eq!(gunzipped(&answer.body), plain.body, "{path}");
        }
        for refused in ["identity", "gzip;q=0", "br"] {
            let call = client.get(path).header("accept-encoding", refused);
            assert_eq!(call.await.expect(200).body, plain.body, "{refused}");
        }
    }
    let missing = client
        .get("/docs/nowhere")
        .header("accept-encoding", "gzip");
    missing.await.problem(404, "route_not_found");
}

#[tokio::test]
async fn the_document_and_the_api_browser_are_sent_once_to_who_keeps_them() {
    let client = TestApp::new().nobody();
    let mut tags = Vec::new();
    for path in ["/openapi.json", "/docs/", "/docs/swagger-ui-bundle.js"] {
        let first = client.get(path).await.expect(200);
        assert_eq!(first.header("cache-control"), "no-cache");
        let tag = first.header("etag").to_owned();
        for known in [tag.as_str(), &format!("\"other\", {tag}"), &tag[2..], "*"] {
            let call = client.get(path).header("if-none-match", known);
            let again = call.header("accept-encoding", "gzip").await.expect(304);
            assert!(again.body.is_empty(), "{path}");
            assert_eq!(again.header("etag"), tag);
            assert_eq!(again.header("vary"), "accept-encoding");
            assert!(!again.headers.contains_key("content-encoding"), "{path}");
        }
        for other in ["\"other\"", "W/\"\"", "", "**"] {
            let call = client.get(path).header("if-none-match", other);
            assert_eq!(call.await.expect(200).body, first.body, "{other}");
        }
        let head = client.call(Method::HEAD, path).await.expect(200);
        assert!(head.body.is_empty(), "{path}");
        tags.push(tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 3, "{tags:?}");
    let missing = client.get("/docs/nowhere").header("if-none-match", "*");
    missing.await.problem(404, "route_not_found");
}

#[tokio::test]
async fn what_may_hold_secrets_is_never_compressed() {
    let admin = TestApp::new().admin();
    for path in ["/v1/whoami", "/v1/services", "/metrics", "/readyz"] {
        let answer = admin.get(path).header("accept-encoding", "gzip").await;
        let answer = answer.expect(200);
        assert!(!answer.headers.contains_key("content-encoding"), "{path}");
        assert!(!answer.headers.contains_key("vary"), "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_under_v1_are_404_without_credentials() {
    let client = TestApp::new().nobody();
    client
        .get("/v1/nowhere")
        .await
        .problem(404, "route_not_found");
    client
        .get("/v1/services")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_rotated_secret_is_good_until_its_grace_is_over() {
    let app = TestApp::new();
    let billing = app.service("billing", &["service.read"]).await;
    let rotate = app.admin().post("/v1/services/billing/rotate-secret");
    rotate.json(&json!({"grace_seconds": 60})).await.expect(200);
    app.clock.advance(Duration::from_millis(59_999));
    billing.get("/v1/whoami").await.expect(200);
    app.clock.advance(Duration::from_millis(1));
    billing
        .get("/v1/whoami")
        .await
        .problem(401, "unauthenticated");
}
