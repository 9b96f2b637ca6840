use nix::sys::signal::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ADMIN_SECRET, Follow, Gateway, Launch};

/// A request whose handler waits for the rest of its body, and that rest.
async fn begin_request(gateway: &Gateway) -> (TcpStream, String) {
    let body = json!({"service_id": "billing", "service_name": "b", "permissions": []});
    let body = body.to_string();
    let (start, rest) = body.split_at(10);
    let head = format!(
        "POST /v1/services HTTP/1.1\r\nhost: test\r\nx-service-id: admin\r\n\
         x-service-secret: {ADMIN_SECRET}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked_to_go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked_to_go_on).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    (stream, rest.to_owned())
}

#[tokio::test]
async fn a_signal_lets_the_request_under_way_end_and_the_exit_is_clean() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut gateway = Gateway::start().await;
        let (mut slow, rest) = begin_request(&gateway).await;
        gateway.signal(signal);
        gateway.wait_for_stderr("draining").await;
        slow.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        assert_eq!(
            gateway.ended().await.code(),
            Some(0),
            "{}",
            gateway.stderr()
        );
    }
}

#[tokio::test]
async fn a_signal_ends_streams_of_events_well() {
    let mut gateway = Gateway::start().await;
    let mut follow = Follow::begin(&gateway.admin(), "/v1/events", None).await;
    follow.take(1).await;
    gateway.signal(Signal::SIGTERM);
    assert_eq!(follow.next().await, None);
    assert!(follow.ended_well());
    // Long before the time for draining is over.
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let mut gateway = Gateway::start().await;
    let _under_way = begin_request(&gateway).await;
    gateway.signal(Signal::SIGTERM);
    gateway.wait_for_stderr("draining").await;
    gateway.signal(Signal::SIGTERM);
    assert_eq!(
        gateway.ended().await.code(),
        Some(1),
        "{}",
        gateway.stderr()
    );
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused() {
    let gateway = Gateway::start().await;
    let output = gateway.twin().output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("in use by another process"), "{stderr}");
    gateway.nobody().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn an_address_in_use_is_told_in_one_line() {
    let gateway = Gateway::start().await;
    let address = gateway.address().to_string();
    let launch = Launch::new()
        .unset("SGW_LISTEN")
        .set("SGW_LISTEN", &address);
    let output = launch.output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains(&format!("cannot listen on {address}")),
        "{stderr}"
    );
}

#[tokio::test]
async fn the_admin_secret_is_made_and_told_at_the_first_start_only() {
    let gateway = Launch::new().unset("SGW_ADMIN_SECRET").start().await;
    let secret = gateway.wait_for_stderr("export SGW_ADMIN_SECRET=").await;
    let admin = gateway.nobody().as_service("admin", &secret);
    admin.get("/v1/whoami").await.expect(200);

    let gateway = gateway.kill_and_restart().await;
    let admin = gateway.nobody().as_service("admin", &secret);
    admin.get("/v1/whoami").await.expect(200);
    assert!(
        !gateway.stderr().contains("SGW_ADMIN_SECRET="),
        "{}",
        gateway.stderr()
    );
}

#[tokio::test]
async fn a_first_start_that_fails_makes_no_secret_that_nobody_sees() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let launch = Launch::new().unset("SGW_ADMIN_SECRET");
    let refused = launch
        .clone()
        .unset("SGW_LISTEN")
        .set("SGW_LISTEN", &address);
    assert_eq!(refused.output().status.code(), Some(1));

    let gateway = launch.start().await;
    let secret = gateway.wait_for_stderr("export SGW_ADMIN_SECRET=").await;
    let admin = gateway.nobody().as_service("admin", &secret);
    admin.get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn a_configured_admin_secret_is_never_told_and_survives_on_no_disk() {
    let gateway = Launch::new().set("SGW_LOG", "trace").start().await;
    gateway.admin().get("/v1/whoami").await.expect(200);
    assert!(!gateway.stderr().contains(ADMIN_SECRET));
    for file in std::fs::read_dir(gateway.data()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let secret = ADMIN_SECRET.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[tokio::test]
async fn json_logs_are_json_line_by_line() {
    let launch = Launch::new().set("SGW_LOG_FORMAT", "json");
    let mut gateway = launch.start().await;
    gateway.signal(Signal::SIGTERM);
    gateway.ended().await;
    for line in gateway.stderr().lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(event["level"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let gateway = Gateway::start().await;
    let billing = gateway.service("billing", &["service.read"]).await;
    let gateway = gateway.kill_and_restart().await;
    let answer = billing
        .at(gateway.address())
        .get("/v1/whoami")
        .await
        .expect(200);
    assert_eq!(answer.json()["service_id"], "billing");
}

#[tokio::test]
async fn without_file_descriptors_it_waits_and_is_back_when_there_are_some() {
    let gateway = Launch::new().limit_open_files(64).start().await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(TcpStream::connect(gateway.address()).await.unwrap());
    }
    gateway
        .wait_for_stderr("connections cannot be accepted")
        .await;
    drop(connections);
    gateway.nobody().get("/readyz").await.expect(200);
    let told = gateway
        .stderr()
        .matches("connections cannot be accepted")
        .count();
    assert_eq!(told, 1, "{}", gateway.stderr());
}

#[tokio::test]
async fn a_terminal_that_goes_away_ends_nothing() {
    let mut gateway = Gateway::start().await;
    for _ in 0..3 {
        gateway.signal(Signal::SIGHUP);
    }
    gateway.admin().get("/v1/whoami").await.expect(200);
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_file_at_its_greatest_size_is_a_failed_write_and_no_end() {
    let launch = Launch::new().limit_file_size(8 << 20);
    let gateway = launch.start().await;
    let new = json!({"login_id": "ana", "attributes": {"text": "x".repeat(60_000)}});
    let mut refused = None;
    for _ in 0..1_000 {
        let answer = gateway.admin().post("/v1/sessions").json(&new).await;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
    }
    refused.unwrap().problem(503, "store_unavailable");
    gateway.nobody().get("/livez").await.expect(200);
    gateway.admin().get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn refusals_of_services_are_counted_and_told_in_few_lines() {
    let gateway = Gateway::start().await;
    let reader = gateway.service("reader", &["service.read"]).await;
    let wrong = gateway
        .nobody()
        .as_service("shop", "hunter2-is-not-its-secret");
    for _ in 0..30 {
        wrong.get("/v1/whoami").await.expect(401);
        reader.get("/v1/sessions").await.expect(403);
    }
    let stderr = gateway.stderr();
    for (wanted, most) in [
        (
            "service.id=shop client.address=127.0.0.1 error=service credentials are missing or wrong",
            8,
        ),
        (
            "service.id=reader error=this needs the permission session.read",
            8,
        ),
    ] {
        let lines = stderr
            .lines()
            .filter(|line| line.contains(wanted) && line.contains("INFO"));
        assert!((1..=most).contains(&lines.count()), "{wanted} in {stderr}");
    }
    assert!(!stderr.contains("hunter2"), "{stderr}");
    let metrics = gateway.nobody().get("/metrics").await.expect(200).text();
    for counted in [
        "sgw_service_refusals_total{reason=\"unauthenticated\"} 30",
        "sgw_service_refusals_total{reason=\"permission_denied\"} 30",
        "sgw_service_refusals_total{reason=\"rate_limited\"} 0",
    ] {
        assert!(metrics.contains(counted), "{counted} in {metrics}");
    }
}
