//! SIGHUP: what can change while the gateway runs does, the rest waits and is named.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::redis::eventually;
use crate::support::{Gateway, Launch};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

const FIRST: &str = "the-first-secret-of-admin-0123456789";
const SECOND: &str = "the-second-secret-of-admin-0123456789";

/// A gateway whose secret is in a file, and whose other settings are in `.env`.
async fn start() -> Gateway {
    let launch = Launch::new()
        .unset("SGW_ADMIN_SECRET")
        .set("SGW_ADMIN_SECRET_FILE", "secret")
        .unset("SGW_LOG");
    std::fs::write(launch.directory().join("secret"), FIRST).unwrap();
    std::fs::write(launch.directory().join(".env"), "SGW_LOG=info\n").unwrap();
    launch.start().await
}

async fn status(gateway: &Gateway, secret: &str) -> u16 {
    let admin = gateway.nobody().as_service("admin", secret);
    admin.get("/v1/whoami").await.status.as_u16()
}

#[tokio::test]
async fn a_new_secret_of_admin_and_new_levels_of_the_log_are_in_force_at_once() {
    let gateway = start().await;
    let directory = gateway.data().parent().unwrap().to_owned();
    assert_eq!(status(&gateway, FIRST).await, 200);
    std::fs::write(directory.join("secret"), SECOND).unwrap();
    let dot_env = "SGW_LOG=info,session_gateway=debug\nSGW_IDLE_TIMEOUT=10m\n\
                   SGW_SERVICE_MAX_FOLLOWERS=7\nSGW_SERVICE_MAX_LIVE_SESSIONS=9\n";
    std::fs::write(directory.join(".env"), dot_env).unwrap();
    assert_eq!(status(&gateway, SECOND).await, 401, "not yet");
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for_stderr("SGW_IDLE_TIMEOUT").await;
    let told = gateway.stderr();
    assert_eq!(told.matches("waits for a restart").count(), 1, "{told}");
    assert!(told.contains("admin has a new secret"), "{told}");
    assert!(!told.contains(SECOND), "{told}");
    eventually(DEADLINE, || async { status(&gateway, SECOND).await == 200 }).await;
    assert_eq!(status(&gateway, FIRST).await, 401);
    gateway.nobody().get("/v1/whoami").await.expect(401);
    gateway.wait_for_stderr("DEBUG").await;
    let admin = gateway.nobody().as_service("admin", SECOND);
    let usage = admin.get("/v1/services/admin/usage").await.value(200);
    let quotas = usage["items"].as_array().unwrap();
    let followers = quotas.iter().find(|quota| quota["quota"] == "followers");
    assert_eq!(followers.unwrap()["limit"], 7);
}

#[tokio::test]
async fn settings_that_are_wrong_change_nothing() {
    let gateway = start().await;
    let directory = gateway.data().parent().unwrap().to_owned();
    std::fs::write(directory.join("secret"), SECOND).unwrap();
    std::fs::write(directory.join(".env"), "SGW_IDLE_TIMEOUT=soon\n").unwrap();
    gateway.signal(Signal::SIGHUP);
    gateway.wait_for_stderr("stay as they are").await;
    let told = gateway.stderr();
    assert!(told.contains("SGW_IDLE_TIMEOUT"), "{told}");
    assert_eq!(status(&gateway, FIRST).await, 200);
    assert_eq!(status(&gateway, SECOND).await, 401);
}
