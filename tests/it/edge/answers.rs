use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::FromRequest;
use axum::http::{HeaderValue, Method, Request};
use axum::routing::{get, post};
use hyper::body::{Body as HttpBody, Frame};
use serde::Deserialize;
use serde_json::json;
use session_gateway::gateway::GatewayError;
use session_gateway::http::app::with_middleware;
use session_gateway::http::error::ApiError;
use session_gateway::http::extract::{Json, MAX_BODY_BYTES};
use session_gateway::http::middleware::RequestWatcher;
use session_gateway::http::middleware::{MAX_HEADER_BYTES, MAX_URI_BYTES};
use session_gateway::store::StoreError;
use tower::ServiceExt;
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
    Err(GatewayError::from(StoreError::Unavailable(cause)).into())
}

async fn break_down() -> Result<(), ApiError> {
    let cause = std::io::Error::other("a detail nobody outside should see");
    Err(ApiError::internal(cause))
}

/// A body of which nothing ever comes.
struct Unending;

impl HttpBody for Unending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

fn client() -> Client {
    Client::in_process(routes())
}

fn routes() -> Router {
    let routes = Router::new()
        .route("/here", get(|| async { "here" }))
        .route("/v1/here", get(|| async { "here" }))
        .route("/greet", post(greet))
        .route("/panic", get(stumble))
        .route("/store", get(lose_the_store))
        .route("/internal", get(break_down));
    with_middleware(routes, &RequestWatcher::default())
}

#[tokio::test]
async fn an_unknown_path_is_told_with_a_document() {
    let answer = client().get("/nowhere").await;
    let document = answer.problem(404, "route_not_found");
    assert_eq!(document["detail"], "nothing is at this path");
}

#[tokio::test]
async fn a_wrong_method_is_told_with_the_right_ones() {
    let client = client();
    for call in [
        client.put("/here"),
        client.patch("/here"),
        client.delete("/here"),
        client.call(Method::TRACE, "/here"),
        client.call(Method::OPTIONS, "/here"),
    ] {
        let answer = call.await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "GET,HEAD");
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
    let value = |length: usize| "x".repeat(length - "x-large".len() - "hostgateway.test".len());
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
    let answer = client().post("/greet").json(&json!({"name": 7})).await;
    let document = answer.problem(400, "invalid_request");
    assert_eq!(document["errors"][0]["pointer"], "/name");
}

#[tokio::test(start_paused = true)]
async fn half_a_body_is_not_waited_for() {
    let request = Request::post("/greet").header("host", "test");
    let mut request = request.body(Body::new(Unending)).unwrap();
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert("content-type", json);
    let response = routes().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 408);
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
