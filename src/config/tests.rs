use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::telemetry::log::LogFormat;

fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_variables(variables.iter().copied())
}

#[track_caller]
fn refusal(name: &str, value: &str) -> String {
    let refused = with(&[(name, value)]).expect_err(&format!("{name}={value} was taken"));
    let line = refused.to_string();
    assert!(line.starts_with(name), "{line}");
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn without_variables_everything_has_its_default() {
    let config = with(&[]).unwrap();
    assert_eq!(config.listener.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listener.max_connections, 10_000);
    assert_eq!(config.listener.max_connections_per_address, 2_500);
    assert_eq!(
        config.store.location,
        StoreLocation::Embedded(PathBuf::from("./data"))
    );
    assert_eq!(config.lifetimes.idle_timeout, Duration::from_secs(30 * 60));
    assert_eq!(
        config.lifetimes.max_age_limit,
        Duration::from_secs(30 * 24 * 3600)
    );
    assert!(config.admin_secret.is_none());
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn the_example_file_lists_every_variable_in_the_order_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
    let file = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        file,
        example(),
        "write what `config::example` says to .env.example"
    );
}

#[test]
fn no_variable_is_listed_twice() {
    let names: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(names.len(), VARIABLES.len());
}

#[test]
fn every_listed_variable_is_read() {
    for variable in VARIABLES {
        refusal(variable.name, "\u{1}");
    }
}

#[test]
fn an_unknown_variable_is_named_and_others_are_none_of_ours() {
    assert!(refusal("SGW_IDEL_TIMEOUT", "30m").contains("is not a setting"));
    assert!(refusal("SGW_SERVICE_HOST", "10.0.0.1").contains("enableServiceLinks: false"));
    assert!(with(&[("PATH", "/bin"), ("sgw_listen", "x")]).is_ok());
}

#[test]
fn durations_have_units_and_bare_numbers_are_seconds() {
    for (text, millis) in [
        ("30m", 1_800_000),
        ("1s", 1000),
        ("0s", 0),
        ("500ms", 500),
        ("2d", 172_800_000),
        ("12h", 43_200_000),
        ("45", 45_000),
    ] {
        let config = with(&[("SGW_DRAIN_TIMEOUT", text)]).unwrap();
        assert_eq!(
            config.listener.drain_timeout,
            Duration::from_millis(millis),
            "{text}"
        );
    }
    for text in [
        "",
        "s",
        "-1s",
        "1.5h",
        "1 s",
        "10y",
        "99999999999999999999",
        "4000d",
        "1h30m",
    ] {
        refusal("SGW_DRAIN_TIMEOUT", text);
    }
    refusal("SGW_SWEEP_INTERVAL", "0s");
    refusal("SGW_IDLE_TIMEOUT", "999ms");
}

#[test]
fn the_url_of_a_redis_is_read_whole_and_never_shown_whole() {
    for (url, shown) in [
        ("redis://:hunter2@10.0.0.1", "redis://10.0.0.1:6379/0"),
        (
            "rediss+sentinel://sgw:hunter2@a,b:1/main/3?sentinel_password=hunter2",
            "rediss+sentinel://a:26379,b:1/main/3",
        ),
        (
            "redis+cluster://:hunter2@[::1]:7000,b",
            "redis+cluster://[::1]:7000,b:6379",
        ),
    ] {
        let location = with(&[("SGW_STORE", url)]).unwrap().store.location;
        assert_eq!(location.to_string(), shown);
        assert!(!format!("{location:?}").contains("hunter2"), "{location:?}");
    }
    for url in [
        "redis://",
        "redis://:hunter2@a,b",
        "redis://a/x",
        "redis+mesh://a",
        "redis://a?x=hunter2",
    ] {
        let line = refusal("SGW_STORE", url);
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn redis_may_take_between_50_ms_and_2_s() {
    let config = with(&[("SGW_REDIS_TIMEOUT", "2s")]).unwrap();
    assert_eq!(config.store.redis.timeout, Duration::from_secs(2));
    assert!(with(&[("SGW_REDIS_TIMEOUT", "50ms")]).is_ok());
    refusal("SGW_REDIS_TIMEOUT", "49ms");
    refusal("SGW_REDIS_TIMEOUT", "2001ms");
}

#[test]
fn a_store_that_is_not_built_is_told_from_one_that_does_not_exist() {
    assert_eq!(
        with(&[("SGW_STORE", "memory:")]).unwrap().store.location,
        StoreLocation::Memory
    );
    assert!(refusal("SGW_STORE", "postgres://db").contains("does not have"));
    for text in [
        "",
        "memory",
        "memory:x",
        "embedded:",
        "mysql://db",
        "/var/lib/data",
    ] {
        assert!(refusal("SGW_STORE", text).contains("must be"), "{text}");
    }
}

#[test]
fn the_admin_secret_is_long_printable_and_given_once() {
    let good = "0123456789abcdef0123456789abcdef";
    let config = with(&[("SGW_ADMIN_SECRET", good)]).unwrap();
    assert_eq!(config.admin_secret.as_ref().unwrap().expose(), good);
    assert!(!format!("{config:?}").contains(good));
    let short = good.get(1..).unwrap();
    assert!(!refusal("SGW_ADMIN_SECRET", short).contains(short));
    refusal("SGW_ADMIN_SECRET", "0123456789abcdef 123456789abcdef");
    let twice = with(&[
        ("SGW_ADMIN_SECRET", good),
        ("SGW_ADMIN_SECRET_FILE", "/dev/null"),
    ]);
    assert!(matches!(twice, Err(ConfigError::Twice("SGW_ADMIN_SECRET"))));
}

#[test]
fn the_admin_secret_may_come_from_a_file_without_its_line_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
    let config = with(&[("SGW_ADMIN_SECRET_FILE", path.to_str().unwrap())]).unwrap();
    assert_eq!(config.admin_secret.unwrap().expose().len(), 32);
    refusal("SGW_ADMIN_SECRET_FILE", "/nowhere/at/all");
}

#[test]
fn the_store_may_come_from_a_file_because_of_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    std::fs::write(&path, "redis://user:hunter2@host:6379/0\n").unwrap();
    let file = ("SGW_STORE_FILE", path.to_str().unwrap());
    let StoreLocation::Redis(url) = with(&[file]).unwrap().store.location else {
        panic!("it is a Redis");
    };
    assert!(!url.to_string().contains("hunter2"), "{url}");
    let twice = with(&[file, ("SGW_STORE", "memory:")]);
    assert!(matches!(twice, Err(ConfigError::Twice("SGW_STORE"))));
    std::fs::write(&path, "postgres://:hunter2@localhost").unwrap();
    let line = with(&[file]).unwrap_err().to_string();
    assert!(line.starts_with("SGW_STORE_FILE") && !line.contains("hunter2"));
}

#[test]
fn a_default_may_not_be_above_its_limit() {
    let idle = with(&[("SGW_IDLE_TIMEOUT", "2h"), ("SGW_IDLE_TIMEOUT_LIMIT", "1h")]);
    let line = idle.unwrap_err().to_string();
    assert_eq!(
        line,
        "SGW_IDLE_TIMEOUT is longer than SGW_IDLE_TIMEOUT_LIMIT allows"
    );
    refusal("SGW_MAX_AGE", "31d");
    assert!(with(&[("SGW_MAX_AGE", "30d")]).is_ok());
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    assert!(with(&[("SGW_LOG", "warn,session_gateway=trace")]).is_ok());
    refusal("SGW_LOG", "session_gateway=loud");
    refusal("SGW_LOG", "");
    refusal("SGW_LOG", "nonsense");
    refusal("SGW_LOG_FORMAT", "xml");
}

#[test]
fn what_reverse_proxies_may_do_is_nothing_unless_it_is_set() {
    assert_eq!(with(&[]).unwrap().proxies, ProxySettings::default());
    for (name, bad) in [
        ("SGW_TOKEN_COOKIE", "a cookie"),
        ("SGW_EXTERNAL_TOKENS", "yes"),
        ("SGW_TRUSTED_PROXIES", "proxy.example.com"),
        ("SGW_TRUSTED_PROXIES", "10.0.0.0/8,"),
        ("SGW_EXPORT_ATTRIBUTES", "r\u{f4}le"),
        ("SGW_EXPORT_ATTRIBUTES", "role,"),
        ("SGW_LOGIN_URL_ALLOW", "https://login.example.com/in"),
    ] {
        refusal(name, bad);
    }
}

#[test]
fn profiles_are_loaded_if_it_is_told_where() {
    assert!(with(&[]).unwrap().profiles.loader.is_none());
    let url = (
        "SGW_PROFILE_LOADER_URL",
        "https://users.internal/{login_id}",
    );
    let secret = "0123456789abcdef0123456789abcdef";
    let config = with(&[url, ("SGW_PROFILE_LOADER_SECRET", secret)]).unwrap();
    assert!(!format!("{config:?}").contains(secret));
    let loader = config.profiles.loader.unwrap();
    assert!(loader.key.is_some());
    assert_eq!(loader.timeout, Duration::from_secs(2));
    assert_eq!(loader.ttl, Duration::from_secs(5 * 60));
    assert_eq!(loader.stale_for, Duration::from_secs(24 * 3600));
    for (name, bad) in [
        (
            "SGW_PROFILE_LOADER_URL",
            "https://{login_id}.users.internal/",
        ),
        ("SGW_PROFILE_LOADER_URL", "users.internal"),
        ("SGW_PROFILE_LOADER_TIMEOUT", "99ms"),
        ("SGW_PROFILE_LOADER_TIMEOUT", "11s"),
        ("SGW_PROFILE_TTL", "0s"),
        ("SGW_PROFILE_TTL", "31d"),
        ("SGW_PROFILE_TTL", "1500ms"),
    ] {
        refusal(name, bad);
    }
}

#[test]
fn two_attributes_never_share_a_header() {
    for names in ["home_town,home.town", "role,Role", "role,role"] {
        assert!(refusal("SGW_EXPORT_ATTRIBUTES", names).contains("same header"));
    }
    let many: Vec<String> = (0..100)
        .map(|number| format!("attribute{number}"))
        .collect();
    assert!(refusal("SGW_EXPORT_ATTRIBUTES", &many.join(",")).contains("so many"));
}

#[test]
fn a_format_is_one_of_those_that_are_written() {
    assert_eq!(with(&[]).unwrap().store.redis.format, None);
    let first = with(&[("SGW_STORE_FORMAT", "1")]).unwrap();
    assert_eq!(first.store.redis.format, Some(1));
    for text in ["0", "4", "newest"] {
        let line = refusal("SGW_STORE_FORMAT", text);
        assert!(
            line.ends_with("that this version writes, from 1 to 3"),
            "{line}"
        );
    }
}

#[test]
fn metrics_can_have_an_address_of_their_own() {
    assert_eq!(with(&[]).unwrap().listener.metrics, None);
    let apart = with(&[("SGW_METRICS_LISTEN", "127.0.0.1:9090")]).unwrap();
    let address = apart.listener.metrics.unwrap();
    assert_eq!(address.to_string(), "127.0.0.1:9090");
}

#[test]
fn traces_are_sent_if_the_standard_variables_say_where() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let only_traces = (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "https://collector/v1/traces",
    );
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    for (variables, transport) in [
        (&[][..], None),
        (&[("OTEL_SERVICE_NAME", "sessions")], None),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], None),
        (&[endpoint], Some(TraceTransport::Http)),
        (&[only_traces], Some(TraceTransport::Https)),
        (&[endpoint, only_traces], Some(TraceTransport::Https)),
        (&[endpoint, protocol], Some(TraceTransport::Http)),
        (&[endpoint, ("OTEL_SDK_DISABLED", "true")], None),
        (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], None),
    ] {
        assert_eq!(with(variables).unwrap().traces, transport, "{variables:?}");
    }
    refusal("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318");
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert!(with(&[grpc]).is_ok());
    let refused = with(&[endpoint, grpc]).unwrap_err();
    assert!(refused.to_string().starts_with(grpc.0), "{refused}");
}
