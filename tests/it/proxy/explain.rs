//! `/v1/auth/explain` tells what `/auth/*` does, and changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::{from, gateway, over_losable, proxy};
use crate::support::{ADMIN_SECRET, Answer, Client, TestApp, open};

const EXPLAIN: &str = "/v1/auth/explain";

async fn explain(client: &Client, request: &Value) -> Value {
    client.post(EXPLAIN).json(request).await.value(200)
}

/// The outcome of every check, in their order.
fn outcomes(explanation: &Value) -> Vec<(String, String)> {
    let checks = explanation["checks"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let outcome = |check: &Value| (text(&check["check"]), text(&check["outcome"]));
    checks.iter().map(outcome).collect()
}

/// Every check up to this one has passed, this one has this outcome, and no other was made.
#[track_caller]
fn assert_decided_by(explanation: &Value, check: &str, outcome: &str) {
    let all = [
        "token",
        "proxy",
        "conditions",
        "session",
        "requirements",
        "device",
    ];
    let place = all.iter().position(|name| *name == check).unwrap();
    let wanted = all.iter().enumerate().map(|(at, name)| {
        let outcome = match at.cmp(&place) {
            std::cmp::Ordering::Less => "passed",
            std::cmp::Ordering::Equal => outcome,
            std::cmp::Ordering::Greater => "not_reached",
        };
        ((*name).to_owned(), outcome.to_owned())
    });
    let wanted: Vec<_> = wanted.collect();
    assert_eq!(outcomes(explanation), wanted, "{explanation}");
}

/// Headers as an explanation shows them, without those that name the request.
fn shown(answer: &Answer) -> Value {
    let headers = answer.headers.iter();
    let theirs = headers.filter(|(name, _)| {
        !["x-request-id", "x-content-type-options", "content-length"].contains(&name.as_str())
    });
    theirs
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect()
}

#[tokio::test]
async fn it_tells_what_the_proxy_is_told() {
    let app = gateway();
    let new = json!({"login_id": "ana", "device": "web", "attributes": {"role": "admin"}});
    let session = open(&app.admin(), new).await;
    for (kind, query) in [
        ("nginx", ""),
        ("nginx", "require=role:user"),
        ("nginx", "require=role:admin&device=ios"),
        ("nginx", "nonsense"),
        ("forward", "device=web"),
        ("envoy", "nonsense"),
    ] {
        let request = json!({"token": session.token, "proxy": kind, "query": query});
        let explanation = explain(&app.admin(), &request).await;
        let call = proxy(&app).get(format!("/auth/{kind}?{query}"));
        let told = call.header("x-session-token", &session.token).await;
        assert_eq!(explanation["status"], told.status.as_u16(), "{explanation}");
        assert_eq!(explanation["headers"], shown(&told));
        let reason = told.headers.get("x-auth-reason");
        let reason = reason.map(|value| value.to_str().unwrap());
        assert_eq!(explanation["reason"], json!(reason));
        assert!(!explanation.to_string().contains(&session.token));
    }
}

#[tokio::test]
async fn the_check_that_decides_is_told_from_those_before_and_after() {
    let app = gateway();
    let admin = app.admin();
    let ended = open(&admin, json!({"login_id": "ana"})).await;
    admin.delete(ended.path()).await.expect(204);
    let token = open(&admin, json!({"login_id": "ana"})).await.token;
    let other = "foreign-token-0123456789abcdef0123456789abcdef";
    for (request, check) in [
        (json!({}), "token"),
        (json!({"token": token, "query": "from=body"}), "token"),
        (json!({"token": "junk"}), "session"),
        (json!({"token": token, "query": "require=x"}), "conditions"),
        (json!({"token": other}), "session"),
        (json!({"token": ended.token}), "session"),
        (
            json!({"token": token, "headers": {"X-Auth-Require": "a:b"}}),
            "requirements",
        ),
        (
            json!({"headers": {"Cookie": format!("sid={token}")}, "query": "device=ios"}),
            "device",
        ),
    ] {
        let mut request = request;
        request["proxy"] = json!("nginx");
        let explanation = explain(&admin, &request).await;
        assert_decided_by(&explanation, check, "failed");
    }
    let good = explain(&admin, &json!({"token": token, "proxy": "envoy"})).await;
    assert_decided_by(&good, "device", "passed");
    assert_eq!(good["reason"], Value::Null);
}

#[tokio::test]
async fn a_redirect_is_explained_with_the_way_back() {
    let app = gateway();
    let request = json!({
        "proxy": "forward",
        "url": "https://app.example.com:8443/cart?id=1",
        "headers": {"Accept": "text/html"},
        "query": "login_url=https%3A%2F%2Flogin.example.com%2Fin",
    });
    let explanation = explain(&app.admin(), &request).await;
    assert_eq!(explanation["status"], 302);
    assert_eq!(
        explanation["headers"]["location"],
        "https://login.example.com/in?return_to=https%3A%2F%2Fapp.example.com%3A8443%2Fcart%3Fid%3D1"
    );
    let mut posted = request;
    posted["method"] = json!("POST");
    assert_eq!(explain(&app.admin(), &posted).await["status"], 401);
}

#[tokio::test]
async fn what_caddy_hands_on_of_its_client_is_explained_with_what_to_write() {
    let app = gateway();
    let token = open(&app.admin(), json!({"login_id": "ana"})).await.token;
    for query in ["id=1", "q=%ff"] {
        let request = json!({"token": token, "proxy": "forward", "query": query});
        let explanation = explain(&app.admin(), &request).await;
        assert_eq!(explanation["reason"], "misconfigured");
        let detail = explanation["checks"][2]["detail"].as_str().unwrap();
        assert!(
            detail.contains("end `uri` in a Caddyfile with `?`"),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn explaining_is_no_use_of_the_session() {
    let app = gateway();
    let new = json!({"login_id": "ana", "idle_timeout_seconds": 60});
    let session = open(&app.admin(), new).await;
    app.pass(Duration::from_secs(40));
    let request = json!({"token": session.token, "proxy": "nginx"});
    assert_eq!(explain(&app.admin(), &request).await["status"], 200);
    app.pass(Duration::from_secs(21));
    assert_eq!(explain(&app.admin(), &request).await["reason"], "expired");
}

#[tokio::test]
async fn unknown_is_explained_as_unknown() {
    let app = gateway();
    let session = open(&app.admin(), json!({"login_id": "ana"})).await;
    let (state, store) = over_losable(&app, "10.0.0.0/8");
    store.lose(true);
    let admin = from(&state, "192.0.2.1").as_service("admin", ADMIN_SECRET);
    let request = json!({"token": session.token, "proxy": "nginx"});
    let explanation = explain(&admin, &request).await;
    assert_eq!(explanation["status"], 503);
    assert_decided_by(&explanation, "session", "unknown");
}

#[tokio::test]
async fn what_no_proxy_could_send_is_refused() {
    let admin = TestApp::new().admin();
    for (request, pointer) in [
        (
            json!({"proxy": "nginx", "headers": {"a b": "c"}}),
            "/headers",
        ),
        (
            json!({"proxy": "nginx", "headers": {"a": "b\r\nc: d"}}),
            "/headers",
        ),
        (json!({"proxy": "nginx", "token": "a\nb"}), "/token"),
        (json!({"proxy": "forward", "url": "not a url"}), "/url"),
        (json!({"proxy": "forward", "url": "mailto:a@b"}), "/url"),
        (json!({"proxy": "forward", "method": "G T"}), "/method"),
        (json!({"proxy": "apache"}), "/proxy"),
        (json!({"proxy": {"nginx": null}}), "/proxy"),
        (json!({"proxy": "nginx", "touch": true}), "/touch"),
    ] {
        let answer = admin.post(EXPLAIN).json(&request).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}
