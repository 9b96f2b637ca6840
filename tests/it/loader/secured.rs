//! A loader over TLS, and the settings of it.

use serde_json::json;

use super::get;
use crate::support::redis::TestCertificates;
use crate::support::{Launch, Manner, TestApp, TestLoader};

#[tokio::test]
async fn a_loader_over_tls_is_asked_if_it_is_signed_by_the_authority() {
    let certificates = TestCertificates::new();
    let profile = Manner::profile(&json!({"name": "Ana"}));
    let loader = TestLoader::start_secured(profile, &certificates).await;
    let directory = tempfile::tempdir().unwrap();
    let (own, other) = (directory.path().join("own"), directory.path().join("other"));
    std::fs::write(&own, &certificates.ca).unwrap();
    std::fs::write(&other, TestCertificates::new().ca).unwrap();
    let ask = |host: &str, scheme: &str, ca: &std::path::Path| {
        let port = loader.address.port();
        let url = format!("{scheme}://{host}:{port}/{{login_id}}");
        let app = TestApp::with(&[
            ("SGW_PROFILE_LOADER_URL", &url),
            ("SGW_PROFILE_LOADER_TIMEOUT", "10s"),
            ("SGW_PROFILE_LOADER_CA_FILE", ca.to_str().unwrap()),
        ]);
        async move { get(&app.admin(), "ana").await }
    };
    for host in ["127.0.0.1", "localhost"] {
        let read = ask(host, "https", &own).await.value(200);
        assert_eq!(read["profile"]["name"], "Ana");
    }
    let untrusted = ask("127.0.0.1", "https", &other).await;
    untrusted.problem(503, "loader_unavailable");
    let misnamed = ask("127.0.0.2", "https", &own).await;
    misnamed.problem(503, "loader_unavailable");
    let plain = ask("127.0.0.1", "http", &own).await;
    plain.problem(503, "loader_unavailable");
    assert_eq!(loader.count(), 2);
}

#[test]
fn settings_that_cannot_be_used_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "no certificate").unwrap();
    let url = ("SGW_PROFILE_LOADER_URL", "https://127.0.0.1/{login_id}");
    for (name, value) in [
        (
            "SGW_PROFILE_LOADER_URL",
            "https://user:hunter2@h/{login_id}",
        ),
        ("SGW_PROFILE_LOADER_SECRET", "hunter2"),
        ("SGW_PROFILE_LOADER_CA_FILE", "/nowhere/hunter2"),
        ("SGW_PROFILE_LOADER_CA_FILE", empty.to_str().unwrap()),
        ("SGW_PROFILE_LOADER_TIMEOUT", "11s"),
        ("SGW_PROFILE_TTL", "31d"),
        ("SGW_PROFILE_TTL", "1500ms"),
        ("SGW_PROFILE_STALE_FOR", "always"),
    ] {
        let output = Launch::new().set(url.0, url.1).set(name, value).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}={value}");
        assert!(stderr.contains("SGW_PROFILE_"), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[tokio::test]
async fn the_program_loads_profiles_without_the_proxy_of_the_environment() {
    let profile = json!({"name": "Ana"});
    let loader = TestLoader::start(Manner::profile(&profile)).await;
    let gateway = Launch::new()
        .set("SGW_PROFILE_LOADER_URL", &loader.url())
        .set("SGW_PROFILE_LOADER_TIMEOUT", "10s")
        .set("HTTP_PROXY", "http://127.0.0.1:1")
        .set("http_proxy", "http://127.0.0.1:1")
        .set("ALL_PROXY", "http://127.0.0.1:1")
        .start()
        .await;
    let read = get(&gateway.admin(), "ana").await.value(200);
    assert_eq!(read["profile"], profile);
    assert_eq!(loader.count(), 1);
}
