//! The text at `/metrics`.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{DEADLINE, Told, make_use_of, text};
use crate::support::redis::{RedisServer, eventually};
use crate::support::{Client, Gateway, Launch, TestApp, open};

/// What `promtool check metrics` finds.
fn findings(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(
            "promtool is installed; on Debian it is in the package prometheus, see tests/setup.sh",
        );
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(output.status.success(), told.is_empty(), "{told}");
    told
}

async fn on_redis(redis: &RedisServer) -> Gateway {
    let launch = Launch::new().unset("SGW_STORE");
    launch.set("SGW_STORE", &redis.url()).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_wrong() {
    assert!(!findings("wrong_total 1\n").is_empty());
    let redis = RedisServer::start().await;
    for gateway in [Gateway::start().await, on_redis(&redis).await] {
        make_use_of(&gateway).await;
        let text = text(&gateway.nobody()).await;
        assert_eq!(findings(&text), "", "{text}");
    }
}

#[tokio::test]
async fn requests_are_told_by_route_method_and_status() {
    let app = TestApp::new();
    let admin = app.admin();
    let session = open(&admin, json!({"login_id": "ana"})).await;
    for _ in 0..3 {
        admin.get(session.path()).await.expect(200);
    }
    admin.get("/v1/sessions/nothing").await.expect(404);
    app.nobody().get(session.path()).await.expect(401);
    app.nobody().post("/livez").await.expect(405);
    let told = Told::by(&app.nobody()).await;
    let count = |method: &str, route: &str, status: u16| {
        told.sum(
            "http_server_request_duration_seconds_count",
            &[
                &format!("http_request_method=\"{method}\""),
                &format!("http_route=\"{route}\""),
                &format!("http_response_status_code=\"{status}\""),
            ],
        )
    };
    let one = "/v1/sessions/{session_id}";
    let counts = [200, 404, 401].map(|status| count("GET", one, status));
    assert_eq!(counts, [3, 1, 1]);
    assert_eq!(count("POST", "/v1/sessions", 201), 1);
    assert_eq!(count("POST", "/livez", 405), 1);
}

#[tokio::test]
async fn no_label_has_a_value_that_somebody_chooses() {
    let app = TestApp::new();
    let shop = app.service("canary-service", &["*"]).await;
    let session = open(
        &shop,
        json!({"login_id": "canary-login", "device": "canary-device"}),
    )
    .await;
    shop.get("/v1/logins/canary-login").await.expect(200);
    for number in 0..50 {
        let path = format!("/canary/{number}");
        app.nobody().get(path).await.expect(404);
    }
    let method = "CANARY".parse().unwrap();
    app.nobody().call(method, session.path()).await.expect(405);
    let text = text(&app.nobody()).await;
    for chosen in ["canary", "CANARY", &session.id] {
        assert!(!text.contains(chosen), "{chosen} in {text}");
    }
    let told = Told::parse(&text);
    let unmatched = told.sum(
        "http_server_request_duration_seconds_count",
        &["http_route=\"unmatched\""],
    );
    assert_eq!(unmatched, 50);
}

#[tokio::test]
async fn metrics_can_have_a_listener_of_their_own() {
    let launch = Launch::new().set("SGW_METRICS_LISTEN", "127.0.0.1:0");
    let gateway = launch.start().await;
    let line = gateway.wait_for_stderr("metrics       http://").await;
    let address = line.strip_suffix("/metrics").unwrap();
    let apart = Client::tcp(address.parse().unwrap());
    gateway
        .nobody()
        .get("/metrics")
        .await
        .problem(404, "route_not_found");
    let document = gateway.nobody().get("/openapi.json").await.value(200);
    assert!(document["paths"]["/metrics"].is_null());
    assert!(
        Told::by(&apart)
            .await
            .number("session_created_total")
            .is_some()
    );
    apart
        .get("/v1/whoami")
        .await
        .problem(404, "route_not_found");
    apart.get("/livez").await.problem(404, "route_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_told_as_such_and_numbers_of_sessions_are_not_guessed() {
    let redis = RedisServer::start().await;
    let gateway = on_redis(&redis).await;
    open(&gateway.admin(), json!({"login_id": "ana"})).await;
    let client = gateway.nobody();
    let up = Told::whole_by(&client).await;
    let master = format!("127.0.0.1:{}", redis.port);
    let state = |told: &Told, state: &str| {
        let labels = format!("{{master=\"{master}\",state=\"{state}\"}}");
        told.number(&format!("sgw_redis_breaker_state{labels}"))
    };
    assert_eq!(up.number("session_total"), Some(1));
    assert_eq!(
        (state(&up, "closed"), state(&up, "open")),
        (Some(1), Some(0))
    );
    assert!(up.sum("sgw_redis_connections", &[&master]) > 0);
    assert!(up.names().any(|name| name == "sgw_feed_lag_seconds"));
    drop(redis);
    eventually(DEADLINE, || async {
        let down = Told::by(&client).await;
        down.number("session_total").is_none()
            && state(&down, "open") == Some(1)
            && down.number("sgw_feed_unheard_parts") == Some(257)
    })
    .await;
    let down = Told::by(&client).await;
    assert_eq!(down.number("session_created_total"), Some(1));
    assert_eq!(down.sum("sgw_redis_connections", &[&master]), 0);
}
