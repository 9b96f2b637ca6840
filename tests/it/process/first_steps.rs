//! What who starts it for the first time is shown, and what can be done with it.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::support::redis::RedisServer;
use crate::support::{ADMIN_SECRET, Gateway, Launch};

/// What the first start says to paste into a shell.
fn first_steps(gateway: &Gateway) -> String {
    let stderr = gateway.stderr();
    let (_, steps) = stderr.split_once("  export ").expect(&stderr);
    format!("export {steps}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_at_the_first_start_works_as_it_is_in_any_directory() {
    let gateway = Launch::new().unset("SGW_ADMIN_SECRET").start().await;
    gateway.wait_for_stderr("-d '").await;
    let steps = first_steps(&gateway);
    let elsewhere = tempfile::tempdir().unwrap();
    let shell = Command::new("/bin/sh")
        .args(["-e", "-c", &steps])
        .current_dir(elsewhere.path())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .unwrap();
    let told = String::from_utf8(shell.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&shell.stderr);
    assert!(shell.status.success(), "{steps}{stderr}");
    for wanted in [
        "\"service_id\":\"admin\"",
        "\nsgs_",
        "\"login_id\":\"user123\"",
    ] {
        let lines = told.replace("}sgs_", "}\nsgs_");
        assert!(lines.contains(wanted), "{wanted} in {told}{stderr}");
    }
}

#[tokio::test]
async fn the_service_of_the_first_start_is_none_of_the_readme() {
    let gateway = Launch::new().unset("SGW_ADMIN_SECRET").start().await;
    let added = gateway.wait_for_stderr(" add ").await;
    let added = added.split(' ').next().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    assert!(readme.contains("\"service_id\": \"shop\""));
    assert!(!readme.contains(&format!("\"service_id\": \"{added}\"")));
}

#[tokio::test]
async fn the_banner_tells_where_the_data_is_from_any_directory() {
    let gateway = Gateway::start().await;
    let data = std::fs::canonicalize(gateway.data()).unwrap();
    let store = gateway.wait_for_stderr("store         ").await;
    assert_eq!(store, format!("embedded:{}", data.display()));
}

/// The secret that the first start shows.
async fn shown_secret(gateway: &Gateway) -> String {
    gateway.wait_for_stderr("export SGW_ADMIN_SECRET=").await
}

async fn status(gateway: &Gateway, secret: &str) -> u16 {
    let admin = gateway.nobody().as_service("admin", secret);
    admin.get("/v1/whoami").await.status.as_u16()
}

#[tokio::test]
async fn a_lost_secret_is_replaced_by_one_that_is_set() {
    let gateway = Launch::new().unset("SGW_ADMIN_SECRET").start().await;
    let lost = shown_secret(&gateway).await;
    gateway.wait_for_stderr("If it is lost, ").await;
    let launch = gateway.twin();
    drop(gateway);
    let set = launch.clone().set("SGW_ADMIN_SECRET", ADMIN_SECRET);
    let gateway = set.start().await;
    assert_eq!(status(&gateway, ADMIN_SECRET).await, 200);
    assert_eq!(status(&gateway, &lost).await, 401);
    drop(gateway);
    let gateway = launch.start().await;
    let made = shown_secret(&gateway).await;
    assert_eq!(status(&gateway, &made).await, 200);
    assert_eq!(status(&gateway, &lost).await, 401);
}

#[tokio::test]
async fn with_json_logs_the_first_secret_is_in_a_file_and_its_path_in_the_log() {
    let launch = Launch::new()
        .unset("SGW_ADMIN_SECRET")
        .set("SGW_LOG_FORMAT", "json");
    let gateway = launch.start().await;
    gateway.wait_for_stderr("a secret was made").await;
    let data = std::fs::canonicalize(gateway.data()).unwrap();
    let path = data.join("admin-secret");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = std::fs::read_to_string(&path).unwrap();
    assert_eq!(status(&gateway, secret.trim()).await, 200);

    let stderr = gateway.stderr();
    assert!(!stderr.contains(secret.trim()), "{stderr}");
    let events = stderr.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect(line);
        event
    });
    let paths: Vec<_> = events
        .filter_map(|event| Some(event.get("file.path")?.as_str()?.to_owned()))
        .collect();
    assert_eq!(paths, [path.to_str().unwrap()]);

    let gateway = gateway.kill_and_restart().await;
    assert_eq!(status(&gateway, secret.trim()).await, 200);
    assert!(!gateway.stderr().contains("a secret was made"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_logs_a_store_without_a_directory_needs_a_secret_that_is_set() {
    let redis = RedisServer::start().await;
    for store in ["memory:", &redis.url()] {
        let launch = Launch::new()
            .unset("SGW_STORE")
            .set("SGW_STORE", store)
            .set("SGW_LOG_FORMAT", "json");
        let output = launch.clone().unset("SGW_ADMIN_SECRET").output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let last = stderr.lines().last().unwrap();
        assert!(last.contains("SGW_ADMIN_SECRET must be set"), "{stderr}");
        let gateway = launch.start().await;
        assert_eq!(status(&gateway, ADMIN_SECRET).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_logs_a_secret_that_redis_keeps_is_good_as_it_is() {
    let redis = RedisServer::start().await;
    let launch = Launch::new().unset("SGW_STORE").unset("SGW_ADMIN_SECRET");
    let launch = launch.set("SGW_STORE", &redis.url());
    let gateway = launch.clone().start().await;
    let secret = shown_secret(&gateway).await;
    drop(gateway);
    let gateway = launch.set("SGW_LOG_FORMAT", "json").start().await;
    assert_eq!(status(&gateway, &secret).await, 200);
}
