use serde_json::Value;

use crate::support::redis::{RedisServer, TestCertificates};
use crate::support::{ADMIN_SECRET, Gateway, Launch, TlsFront};

#[test]
fn openapi_prints_the_document_and_needs_no_settings() {
    let launch = Launch::new()
        .set("SGW_LISTEN", "nowhere")
        .arguments(&["openapi"]);
    let output = launch.output();
    assert!(output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/readyz"]["get"].is_object());
    assert!(!launch.directory().join("data").exists());
}

#[test]
fn a_command_that_does_not_exist_is_refused() {
    assert_eq!(
        Launch::new().arguments(&["bake"]).output().status.code(),
        Some(2)
    );
}

#[test]
fn healthcheck_fails_where_nothing_listens() {
    let launch = Launch::new()
        .set("SGW_LISTEN", "127.0.0.1:1")
        .arguments(&["healthcheck"]);
    let output = launch.output();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("Connection refused"), "{stderr}");
}

#[tokio::test]
async fn healthcheck_succeeds_beside_a_ready_gateway() {
    let gateway = Gateway::start().await;
    let output = command(&gateway, &["healthcheck"]).output();
    assert!(output.status.success(), "{output:?}");
}

/// A command for a running gateway, in an environment that names it.
fn command(gateway: &Gateway, arguments: &[&str]) -> Launch {
    let address = gateway.address().to_string();
    let launch = Launch::new()
        .unset("SGW_LISTEN")
        .set("SGW_LISTEN", &address);
    launch.arguments(arguments)
}

fn stdout(launch: &Launch) -> String {
    let output = launch.output();
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{stderr}");
    text
}

#[tokio::test]
async fn a_service_is_added_listed_rotated_and_removed() {
    let gateway = Gateway::start().await;
    let add = [
        "service",
        "add",
        "billing",
        "--name",
        "Billing",
        "--permission",
        "session.read",
    ];
    let secret = stdout(&command(&gateway, &add));
    let first = gateway.nobody().as_service("billing", secret.trim());
    first.get("/v1/whoami").await.expect(200);

    let listed = stdout(&command(&gateway, &["service", "list"]));
    let row = listed
        .lines()
        .find(|line| line.starts_with("billing"))
        .unwrap();
    assert!(
        row.contains("Billing") && row.contains("session.read"),
        "{row}"
    );
    assert!(!listed.contains(secret.trim()));

    let rotated = stdout(&command(&gateway, &["service", "rotate", "billing"]));
    let second = gateway.nobody().as_service("billing", rotated.trim());
    second.get("/v1/whoami").await.expect(200);
    first.get("/v1/whoami").await.expect(401);

    stdout(&command(&gateway, &["service", "remove", "billing"]));
    second.get("/v1/whoami").await.expect(401);
}

#[tokio::test]
async fn a_refusal_is_one_line_with_code_and_detail() {
    let gateway = Gateway::start().await;
    let add = ["service", "add", "billing", "--permission", "session.read"];
    stdout(&command(&gateway, &add));
    let unknown = ["service", "add", "other", "--permission", "session.bake"];
    for (arguments, code) in [
        (&add[..], "service_exists"),
        (&unknown[..], "invalid_request"),
        (&["service", "remove", "nobody"], "service_not_found"),
    ] {
        let output = command(&gateway, arguments).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.starts_with(&format!("session-gateway: {code}: ")),
            "{stderr}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_told_alone() {
    let redis = RedisServer::start().await;
    let launch = Launch::new().unset("SGW_STORE");
    let gateway = launch.set("SGW_STORE", &redis.url()).start().await;
    drop(redis);
    let away = ["service", "list", "--url", "http://127.0.0.1:1"];
    for (launch, wanted) in [
        (
            command(&gateway, &away),
            "session-gateway: http://127.0.0.1:1: Connection refused (os error 111)\n".to_owned(),
        ),
        (
            command(&gateway, &["service", "list"]),
            "session-gateway: store_unavailable: ".to_owned(),
        ),
        (
            command(&gateway, &["healthcheck"]),
            format!(
                "session-gateway: http://{}/readyz: not ready: ",
                gateway.address()
            ),
        ),
    ] {
        let output = launch.output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with(&wanted), "{stderr}");
        assert!(!stderr.contains('{'), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(stdout, "");
    }
}

#[tokio::test]
async fn another_service_may_act_with_its_secret_from_a_file() {
    let gateway = Gateway::start().await;
    let add = ["service", "add", "reader", "--permission", "service.read"];
    let secret = stdout(&command(&gateway, &add));
    let list = [
        "service",
        "list",
        "--as",
        "reader",
        "--secret-file",
        "secret",
    ];
    let launch = command(&gateway, &list);
    std::fs::write(launch.directory().join("secret"), secret).unwrap();
    assert!(stdout(&launch).contains("reader"));

    let remove = [
        "service",
        "remove",
        "reader",
        "--as",
        "reader",
        "--secret-file",
        "secret",
    ];
    let output = launch.arguments(&remove).output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("permission_denied: "), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_managed_over_https_where_the_machine_trusts_the_certificate() {
    let gateway = Gateway::start().await;
    let certificates = TestCertificates::new();
    let front = TlsFront::before(gateway.address(), &certificates).await;
    let url = front.url();
    let add = ["service", "add", "billing", "--permission", "session.read"];
    let add = [&add[..], &["--url", &url]].concat();
    let add = command(&gateway, &add).set("SSL_CERT_FILE", "authority.pem");
    let authority = add.directory().join("authority.pem");
    std::fs::write(&authority, &certificates.ca).unwrap();
    let secret = stdout(&add);
    let billing = gateway.nobody().as_service("billing", secret.trim());
    billing.get("/v1/whoami").await.expect(200);

    let list = command(&gateway, &["service", "list"])
        .set("SGW_URL", &url)
        .set("SGW_LISTEN", "127.0.0.1:1")
        .set("SSL_CERT_FILE", authority.to_str().unwrap());
    assert!(stdout(&list).contains("billing"));

    std::fs::write(&authority, TestCertificates::new().ca).unwrap();
    let refused = add.output();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&url) && stderr.contains("certificate"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    let other = command(&gateway, &["service", "list", "--url", "ftp://127.0.0.1"]);
    let stderr = String::from_utf8(other.output().stderr).unwrap();
    assert!(stderr.contains("http:// or https://"), "{stderr}");
}

#[tokio::test]
async fn the_admin_secret_of_the_environment_is_not_sent_where_dot_env_says() {
    let gateway = Gateway::start().await;
    let address = gateway.address();
    let launch = Launch::new().unset("SGW_LISTEN");
    let dot_env = launch.directory().join(".env");
    std::fs::write(&dot_env, format!("SGW_LISTEN={address}\n")).unwrap();
    let refused = launch.clone().arguments(&["service", "list"]).output();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("SGW_LISTEN is from .env"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    std::fs::write(&dot_env, format!("SGW_URL=http://{address}\n")).unwrap();
    let refused = launch.clone().arguments(&["service", "list"]).output();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("SGW_URL is from .env"), "{stderr}");
    let url = format!("http://{address}");
    let named = launch
        .clone()
        .arguments(&["service", "list", "--url", &url]);
    assert!(stdout(&named).contains("admin"));

    let both = format!("SGW_LISTEN={address}\nSGW_ADMIN_SECRET={ADMIN_SECRET}\n");
    std::fs::write(&dot_env, both).unwrap();
    let together = launch
        .unset("SGW_ADMIN_SECRET")
        .arguments(&["service", "list"]);
    assert!(stdout(&together).contains("admin"));
}
