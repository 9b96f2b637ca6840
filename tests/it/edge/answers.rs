use axum::Router;
use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::{Method, Request};
use axum::routing::{get, post};
use serde::Deserialize;
use session_gateway::app::with_edge;
use session_gateway::edge::{MAX_HEADER_BYTES, MAX_URI_BYTES};
use session_gateway::error::ApiError;
use session_gateway::extract::{Json, MAX_BODY_BYTES};
use session_gateway::store::StoreError;
use std::sync::Arc;
use uuid::Uuid;

use crate::support::Client;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

async fn greet(request: Request<Body>) -> Result<String, ApiError> {
    let Json(Named { name }) = Json::from_request(request, &()).await?;
    Ok(name)
}

async fn stumble() -> &'static str {
    panic!("a bug")
}

async fn lose_the_store() -> Result<(), ApiError> {
    let cause = "connection to 10.0.0.7 refused".into();
    Err(StoreError::Unavailable(cause).into())
}

async fn break_down() -> Result<(), ApiError> {
    let cause = std::io::Error::other("a detail nobody outside should see");
    Err(ApiError::Internal(Arc::new(cause)))
}

fn client() -> Client {
    let routes = Router::new()
        .route("/here", get(|| async { "here" }))
        .route("/v1/here", get(|| async { "here" }))
        .route("/greet", post(greet))
        .route("/panic", get(stumble))
        .route("/store", get(lose_the_store))
        .route("/internal", get(break_down));
    Client::in_process(with_edge(routes))
}

#[tokio::test]
async fn an_unknown_path_is_told_with_a_document() {
    let answer = client().get("/nowhere").await;
    let document = answer.problem(404, "route_not_found");
    assert_eq!(document["detail"], "nothing is at this path");
}

#[tokio::test]
async fn a_wrong_method_is_told_with_the_right_ones() {
    let answer = client().delete("/here").await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
    for method in [Method::TRACE, Method::OPTIONS] {
        let answer = client().call(method, "/here").await;
        answer.problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_next_request_is_served() {
    let client = client();
    let answer = client.get("/panic").await;
    let document = answer.problem(500, "internal");
    assert_eq!(document["detail"], "internal error");
    client.get("/here").await.expect(200);
}

#[tokio::test]
async fn causes_stay_inside() {
    let client = client();
    let answer = client.get("/store").await;
    let document = answer.problem(503, "store_unavailable");
    assert!(!document.to_string().contains("10.0.0.7"), "{document}");
    assert_eq!(answer.header("retry-after"), "1");
    let document = client.get("/internal").await.problem(500, "internal");
    assert!(
        !document.to_string().contains("nobody outside"),
        "{document}"
    );
}

#[tokio::test]
async fn a_uri_may_have_8_kib_and_not_a_byte_more() {
    let client = client();
    let path = |length: usize| format!("/here?{}", "x".repeat(length - "/here?".len()));
    client.get(path(MAX_URI_BYTES)).await.expect(200);
    let answer = client.get(path(MAX_URI_BYTES + 1)).await;
    let document = answer.problem(414, "uri_too_long");
    assert!(document["detail"].as_str().unwrap().contains("8192"));
}

#[tokio::test]
async fn headers_may_have_16_kib_and_not_a_byte_more() {
    let client = client();
    let value = |length: usize| "x".repeat(length - "x-large".len());
    let fits = client
        .get("/here")
        .header("x-large", &value(MAX_HEADER_BYTES));
    fits.await.expect(200);
    let more = client
        .get("/here")
        .header("x-large", &value(MAX_HEADER_BYTES + 1));
    let document = more.await.problem(431, "headers_too_large");
    assert!(document["detail"].as_str().unwrap().contains("16384"));
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_not_a_byte_more() {
    let client = client();
    let body = |length: usize| {
        let name = "x".repeat(length - "{\"name\":\"\"}".len());
        format!("{{\"name\":\"{name}\"}}")
    };
    let fits = client
        .post("/greet")
        .text("application/json", body(MAX_BODY_BYTES));
    fits.await.expect(200);
    let more = client
        .post("/greet")
        .text("application/json", body(MAX_BODY_BYTES + 1));
    more.await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let answer = client().post("/greet").text("text/plain", "{}").await;
    answer.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_wrong_body_names_the_place() {
    let answer = client()
        .post("/greet")
        .text("application/json", "{\"name\":7}")
        .await;
    let document = answer.problem(400, "invalid_request");
    assert_eq!(document["errors"][0]["pointer"], "/name");
}

#[tokio::test]
async fn a_sane_request_id_comes_back_and_any_other_is_replaced() {
    let client = client();
    let sent = "trace:01/HN+4=@x_y-z.7";
    let answer = client.get("/here").header("x-request-id", sent).await;
    assert_eq!(answer.header("x-request-id"), sent);
    let answer = client.get("/nowhere").header("x-request-id", sent).await;
    assert_eq!(answer.problem(404, "route_not_found")["request_id"], sent);
    for odd in ["with space", "<script>", &"x".repeat(129)] {
        let answer = client.get("/here").header("x-request-id", odd).await;
        assert!(
            Uuid::parse_str(answer.header("x-request-id")).is_ok(),
            "{odd}"
        );
    }
}

#[tokio::test]
async fn nothing_under_v1_is_stored_and_nothing_is_sniffed() {
    let client = client();
    for path in ["/v1/here", "/v1/nowhere", "/v1"] {
        let answer = client.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let answer = client.get("/here").await;
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.headers.contains_key("cache-control"));
}
