//! Traces, as a collector gets them.

use std::time::Instant;

use axum::http::StatusCode;
use nix::sys::signal::Signal;
use serde_json::json;

use super::sink::Sink;
use crate::support::redis::TestCertificates;
use crate::support::{ADMIN_SECRET, Gateway, Launch, TlsFront, open};

const TRACE: [u8; 16] = [0x5a; 16];
const CALLER: [u8; 8] = [0xc3; 8];

fn traceparent(flags: &str) -> String {
    let (trace, caller) = (u128::from_be_bytes(TRACE), u64::from_be_bytes(CALLER));
    format!("00-{trace:032x}-{caller:016x}-{flags}")
}

/// Sends batches this often, in milliseconds.
async fn traced(sink: &Sink, delay: &str) -> Gateway {
    let launch = Launch::new()
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint())
        .set("OTEL_BSP_SCHEDULE_DELAY", delay);
    launch.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_on_with_the_trace_of_its_caller() {
    let sink = Sink::start().await;
    let gateway = traced(&sink, "50").await;
    let admin = gateway.admin();
    let session = open(
        &admin,
        json!({"login_id": "canary-login", "attributes": {"a": "canary-value"}}),
    )
    .await;
    let read = admin.get(session.path());
    read.header("traceparent", &traceparent("01"))
        .await
        .expect(200);

    let request = sink.span("GET /v1/sessions/{session_id}").await;
    assert_eq!(
        (&*request.trace_id, &*request.parent_span_id),
        (&TRACE[..], &CALLER[..])
    );
    let attributes: Vec<_> = request
        .attributes
        .iter()
        .map(|of| of.key.as_str())
        .collect();
    for name in [
        "http.request.method",
        "http.route",
        "http.response.status_code",
    ] {
        assert!(attributes.contains(&name), "{attributes:?}");
    }
    let find = sink
        .spans()
        .into_iter()
        .find(|span| span.name == "store find");
    let find = find.expect("the operation of the request");
    assert_eq!(find.trace_id, request.trace_id);
    assert_eq!(find.parent_span_id, request.span_id);

    // Without a caller's trace there is a new one.
    let create = sink.span("POST /v1/sessions").await;
    assert_ne!(create.trace_id, request.trace_id);
    assert!(create.parent_span_id.is_empty());
    assert_eq!(sink.service(), "session-gateway");
    for body in sink.bodies() {
        let text = String::from_utf8_lossy(&body);
        for secret in ["canary", ADMIN_SECRET, &session.id, &session.token] {
            assert!(!text.contains(secret), "{secret} was sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_for_want_of_the_store_is_told_as_failed() {
    let sink = Sink::start().await;
    let redis = crate::support::redis::RedisServer::start().await;
    let launch = Launch::new()
        .unset("SGW_STORE")
        .set("SGW_STORE", &redis.url())
        .set("OTEL_SERVICE_NAME", "sessions-eu")
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint())
        .set("OTEL_BSP_SCHEDULE_DELAY", "50");
    let gateway = launch.start().await;
    drop(redis);
    let create = gateway.admin().post("/v1/sessions");
    let answer = create.json(&json!({"login_id": "ana"})).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let request = sink.span("POST /v1/sessions").await;
    assert_eq!(request.status.unwrap().code, 2);
    assert_eq!(sink.service(), "sessions-eu");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_does_not_sample_is_not_sent() {
    let sink = Sink::start().await;
    let gateway = traced(&sink, "50").await;
    let admin = gateway.admin();
    let whoami = || admin.get("/v1/whoami");
    whoami()
        .header("traceparent", &traceparent("00"))
        .await
        .expect(200);
    open(&admin, json!({"login_id": "ana"})).await;
    sink.span("POST /v1/sessions").await;
    let names: Vec<_> = sink.spans().into_iter().map(|span| span.name).collect();
    assert!(!names.contains(&"GET /v1/whoami".to_owned()), "{names:?}");
    assert!(
        !names.iter().any(|name| name.contains("readyz")),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_arrive_also_at_shutdown() {
    let sink = Sink::start().await;
    let mut gateway = traced(&sink, "3600000").await;
    open(&gateway.admin(), json!({"login_id": "ana"})).await;
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success(), "{}", gateway.stderr());
    let names: Vec<_> = sink.spans().into_iter().map(|span| span.name).collect();
    assert!(names.contains(&"POST /v1/sessions".to_owned()), "{names:?}");
    assert!(names.contains(&"store create".to_owned()), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_over_tls_to_a_collector_that_the_machine_trusts_and_to_no_other() {
    let certificates = TestCertificates::new();
    for (authority, arrives) in [
        (certificates.ca.clone(), true),
        (TestCertificates::new().ca, false),
    ] {
        let sink = Sink::start().await;
        let front = TlsFront::before(sink.address(), &certificates).await;
        let launch = Launch::new()
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", &front.url())
            .set("SSL_CERT_FILE", "authority.pem");
        std::fs::write(launch.directory().join("authority.pem"), authority).unwrap();
        let mut gateway = launch.start().await;
        open(&gateway.admin(), json!({"login_id": "ana"})).await;
        gateway.signal(Signal::SIGTERM);
        assert!(gateway.ended().await.success(), "{}", gateway.stderr());
        assert_eq!(!sink.bodies().is_empty(), arrives, "{}", gateway.stderr());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_go_as_they_are_need_no_certificates_and_those_over_tls_do() {
    let sink = Sink::start().await;
    let launch = Launch::new()
        .set("SSL_CERT_FILE", "nowhere.pem")
        .set("SSL_CERT_DIR", "nowhere")
        .set("OTEL_BSP_SCHEDULE_DELAY", "50");
    let plain = launch
        .clone()
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint());
    let gateway = plain.start().await;
    open(&gateway.admin(), json!({"login_id": "ana"})).await;
    sink.span("POST /v1/sessions").await;
    drop(gateway);
    let secure = launch.set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1");
    let output = secure.output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("traces cannot be sent"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_up_neither_requests_nor_the_end() {
    let launch = Launch::new()
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .set("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut gateway = launch.start().await;
    for _ in 0..50 {
        gateway.admin().get("/v1/whoami").await.expect(200);
    }
    let told = Instant::now();
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success(), "{}", gateway.stderr());
    assert!(told.elapsed().as_secs() < 20, "{:?}", told.elapsed());
}

#[test]
fn a_setting_of_traces_that_cannot_be_obeyed_stops_the_start() {
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let url = "http://127.0.0.1:4318";
    for (wrong, settings) in [
        (endpoint, [(endpoint, "collector:4317"), (protocol, "")]),
        (protocol, [(endpoint, url), (protocol, "grpc")]),
    ] {
        let launch = Launch::new();
        let launch = settings
            .iter()
            .fold(launch, |launch, (name, value)| launch.set(name, value));
        let output = launch.output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(wrong), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
