use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::Launch;

fn set_mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Starts with a setting that must stop it, and returns the line that says so.
#[track_caller]
fn refusal(launch: &Launch) -> String {
    let output = launch.output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

#[test]
fn an_unknown_setting_stops_the_start() {
    let line = refusal(&Launch::new().set("SGW_SERVICE_HOST", "10.0.0.1"));
    let wanted = "SGW_SERVICE_HOST in the environment is not a setting";
    assert!(
        line.contains(wanted) && line.contains("enableServiceLinks: false"),
        "{line}"
    );
}

#[test]
fn who_misspells_a_setting_is_told_what_may_be_meant() {
    for (name, meant) in [
        ("SGW_IDEL_TIMEOUT", "SGW_IDLE_TIMEOUT"),
        ("SGW_ADMIN_SECRETS", "SGW_ADMIN_SECRET"),
        ("SGW_listen", "SGW_LISTEN"),
    ] {
        let line = refusal(&Launch::new().set(name, "30m"));
        let wanted = format!("{name} in the environment is not a setting");
        assert!(line.contains(&wanted), "{line}");
        assert!(line.contains(&format!("did you mean {meant}?")), "{line}");
    }
}

#[test]
fn a_wrong_setting_is_told_with_the_place_where_it_is_set() {
    let launch = Launch::new().unset("SGW_ADMIN_SECRET");
    let dot_env = launch.directory().join(".env");
    for (text, wanted) in [
        (
            "SGW_IDLE_TIMEOUT=soon",
            "SGW_IDLE_TIMEOUT in .env must be a duration",
        ),
        (
            "SGW_IDEL_TIMEOUT=1h",
            "SGW_IDEL_TIMEOUT in .env is not a setting",
        ),
        (
            "SGW_ADMIN_SECRET=short",
            "SGW_ADMIN_SECRET in .env must be 32",
        ),
        (
            "SGW_ADMIN_SECRET_FILE=nowhere",
            "SGW_ADMIN_SECRET_FILE in .env names a file that cannot be read",
        ),
    ] {
        std::fs::write(&dot_env, text).unwrap();
        let line = refusal(&launch);
        assert!(line.contains(wanted), "{line}");
    }
    let given = launch.set("SGW_ADMIN_SECRET_FILE", "elsewhere");
    let line = refusal(&given);
    assert!(
        line.contains("SGW_ADMIN_SECRET_FILE in the environment"),
        "{line}"
    );
}

#[test]
fn a_bad_setting_stops_the_start_without_being_shown() {
    for (name, value) in [
        ("SGW_LISTEN", "nowhere"),
        ("SGW_STORE", "postgres://:hunter2@localhost"),
        ("SGW_IDLE_TIMEOUT", "soon"),
        ("SGW_ADMIN_SECRET", "too-short-hunter2"),
        ("SGW_MAX_CONNECTIONS", "0"),
        ("SGW_MAX_CONNECTIONS_PER_ADDRESS", "0"),
        ("SGW_LOG_FORMAT", "xml"),
        ("SGW_STORE_FORMAT", "200"),
    ] {
        let line = refusal(&Launch::new().unset(name).set(name, value));
        assert!(line.contains(name), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn the_file_dot_env_is_read_and_never_overrides_the_environment() {
    let launch = Launch::new().unset("SGW_LISTEN");
    let dot_env = launch.directory().join(".env");
    std::fs::write(&dot_env, "# a comment\nOTHER=1\nSGW_LISTEN=nonsense\n").unwrap();
    assert!(refusal(&launch).contains("SGW_LISTEN"));

    let overridden = launch.set("SGW_LISTEN", "127.0.0.1:1");
    let output = overridden.arguments(&["healthcheck"]).output();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_broken_line_of_dot_env_stops_the_start_without_being_shown() {
    let launch = Launch::new();
    let dot_env = launch.directory().join(".env");
    std::fs::write(&dot_env, "SGW_ADMIN_SECRET hunter2\n").unwrap();
    let line = refusal(&launch);
    assert!(line.contains(".env") && !line.contains("hunter2"), "{line}");
}

#[test]
fn a_dot_env_that_others_can_write_stops_the_start() {
    let launch = Launch::new();
    let dot_env = launch.directory().join(".env");
    std::fs::write(&dot_env, "SGW_LISTEN=nonsense\n").unwrap();
    for mode in [0o602, 0o620, 0o666] {
        set_mode(&dot_env, mode);
        let line = refusal(&launch);
        assert!(line.contains(".env can be written by others"), "{line}");
    }
    // The environment wins over what it says, once it is read.
    set_mode(&dot_env, 0o600);
    let healthcheck = launch.arguments(&["healthcheck"]).output();
    assert_eq!(healthcheck.status.code(), Some(1));
}

/// Only who may give files away can test that.
#[test]
fn a_dot_env_of_another_user_stops_the_start() {
    let launch = Launch::new();
    let dot_env = launch.directory().join(".env");
    std::fs::write(&dot_env, "SGW_LISTEN=127.0.0.1:1\n").unwrap();
    if std::os::unix::fs::chown(&dot_env, Some(12_345), None).is_ok() {
        let line = refusal(&launch);
        assert!(line.contains(".env belongs to another user"), "{line}");
    }
}

#[tokio::test]
async fn an_idle_timeout_beyond_the_greatest_age_is_warned_of() {
    let launch = Launch::new().set("SGW_IDLE_TIMEOUT", "2h");
    let gateway = launch.set("SGW_MAX_AGE", "1h").start().await;
    let stderr = gateway.stderr();
    assert!(
        stderr.contains("SGW_IDLE_TIMEOUT is longer than SGW_MAX_AGE"),
        "{stderr}"
    );
    assert_eq!(stderr.matches("WARN").count(), 1, "{stderr}");
}

#[tokio::test]
async fn doors_that_stand_open_are_warned_of_at_the_start() {
    let shut = Launch::new().start().await;
    assert!(!shut.stderr().contains("WARN"), "{}", shut.stderr());
    let launch = Launch::new()
        .unset("SGW_LISTEN")
        .set("SGW_LISTEN", "0.0.0.0:0")
        .unset("SGW_ADMIN_SECRET")
        .set("SGW_ADMIN_SECRET_FILE", "secret")
        .set("SGW_TRUSTED_PROXIES", "10.0.0.1,::/0")
        .set("SGW_METRICS_ALLOW", "0.0.0.0/0")
        .set("SGW_IDLE_TIMEOUT_LIMIT", "31d")
        .set("SGW_MAX_AGE_LIMIT", "366d");
    let at = |name: &str| launch.directory().join(name);
    for (name, text) in [
        (".env", "SGW_LOG=info\n".to_owned()),
        ("secret", "s".repeat(32)),
    ] {
        std::fs::write(at(name), text).unwrap();
        set_mode(&at(name), 0o604);
    }
    std::fs::create_dir(at("data")).unwrap();
    set_mode(&at("data"), 0o755);
    let gateway = launch.start().await;
    let stderr = gateway.stderr();
    for wanted in [
        "SGW_LISTEN=0.0.0.0:0 opens the gateway to every network without TLS",
        "SGW_TRUSTED_PROXIES contains every address",
        "SGW_METRICS_ALLOW contains every address",
        "SGW_IDLE_TIMEOUT_LIMIT lets sessions live for more than 30 days",
        "SGW_MAX_AGE_LIMIT lets sessions live for more than 30 days",
        "the data directory ./data is open to other users",
        "SGW_ADMIN_SECRET_FILE can be read by every user",
        ".env can be read by every user",
    ] {
        assert!(stderr.contains(wanted), "{wanted} in {stderr}");
    }
    assert_eq!(stderr.matches("WARN").count(), 8, "{stderr}");
}
