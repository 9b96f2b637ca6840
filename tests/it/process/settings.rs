use crate::support::Launch;

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
    let line = refusal(&Launch::new().set("SGW_IDEL_TIMEOUT", "30m"));
    assert!(line.contains("SGW_IDEL_TIMEOUT is not a setting"), "{line}");
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
        ("SGW_STORE_FORMAT", "2"),
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
