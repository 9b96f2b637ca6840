//! A loader that fails in every way: answers come in time, what was kept is served as stale, and nothing is made up.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use super::{FRESH, assert_read, get, knowing, path, with};
use crate::support::{Manner, TestApp, TestLoader};

/// Long before anybody who waits would give up, on the slowest machine.
const IN_TIME: Duration = Duration::from_secs(20);

/// A failure that is shorter than the patience of the gateway is no failure.
const IMPATIENT: (&str, &str) = ("SGW_PROFILE_LOADER_TIMEOUT", "300ms");

fn head(more: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}\r\n").into_bytes()
}

fn bad_manners() -> Vec<(&'static str, Manner)> {
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(64 * 1024));
    let padded = format!("{{{}}}", " ".repeat(128 * 1024));
    let announced = head("content-length: 1000000000000\r\n");
    let compressed =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
        content-length: 2\r\n\r\n{}";
    vec![
        ("silent", Manner::Silence),
        ("late", Manner::json("{}").after(Duration::from_secs(60))),
        ("endless", Manner::Endless(head(""))),
        (
            "endless in its head",
            Manner::Endless(b"HTTP/1.1 200 OK\r\nx:".to_vec()),
        ),
        (
            "dripping",
            Manner::Dripping(head("content-length: 100000\r\n")),
        ),
        (
            "dripping in its head",
            Manner::Dripping(b"HTTP/1.1 200 OK\r\nx: y".to_vec()),
        ),
        ("announcing too much", Manner::Endless(announced)),
        (
            "breaking off",
            Manner::BreakOff(head("content-length: 10\r\n")),
        ),
        (
            "breaking off in its head",
            Manner::BreakOff(b"HTTP/1.1 200".to_vec()),
        ),
        ("hanging up", Manner::BreakOff(Vec::new())),
        ("no HTTP", Manner::BreakOff(b"SSH-2.0-loader\r\n".to_vec())),
        ("failing", Manner::status("500 Internal Server Error")),
        (
            "overloaded",
            Manner::status("503 Service Unavailable\r\nretry-after: 1"),
        ),
        ("refusing", Manner::status("401 Unauthorized")),
        ("forbidding", Manner::status("403 Forbidden")),
        ("empty", Manner::status("204 No Content")),
        ("partial", Manner::status("206 Partial Content")),
        ("redirecting nowhere", Manner::status("302 Found")),
        ("no JSON", Manner::json("{\"name\":")),
        ("twice", Manner::json(r#"{"a":1,"a":2}"#)),
        ("nothing", Manner::json("")),
        ("null", Manner::json("null")),
        ("a list", Manner::json("[]")),
        ("a text", Manner::json("\"ana\"")),
        (
            "no UTF-8",
            Manner::Answer([head("content-length: 9\r\n"), b"{\"a\":\"\xff\"}".to_vec()].concat()),
        ),
        ("too long", Manner::json(&long)),
        ("too much white space", Manner::json(&padded)),
        ("HTML", Manner::typed("text/html", "{}")),
        ("other JSON", Manner::typed("application/json-seq", "{}")),
        ("compressed", Manner::Answer(compressed.to_vec())),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_loader_leaves_what_is_kept_as_stale_and_makes_up_nothing() {
    let (loader, ana) = knowing(json!({"name": "Ana"})).await;
    for (name, manner) in bad_manners() {
        loader.answers(Manner::profile(&ana));
        let app = with(&loader, &[IMPATIENT]);
        let admin = app.admin();
        while get(&admin, "ana").await.status != 200 {
            app.pass(Duration::from_secs(1));
        }
        app.pass(FRESH);
        loader.answers(manner);
        let begun = Instant::now();
        let read = get(&admin, "ana").await.value(200);
        assert_eq!(
            (&read["profile"], &read["stale"]),
            (&ana, &json!(true)),
            "{name}"
        );
        assert_eq!(read["expires_at"], app.now_text(), "{name}");
        assert_eq!(read["ttl_seconds"], 300, "{name}");
        let answer = get(&admin, "nobody").await;
        answer.problem(503, "loader_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(begun.elapsed() < IN_TIME, "{name}: {:?}", begun.elapsed());
        app.pass(Duration::from_secs(1));
        loader.answers(Manner::profile(&json!({"name": "Ana B"})));
        let mut back = get(&admin, "ana").await.value(200);
        while back["stale"] == true {
            assert!(begun.elapsed() < 2 * IN_TIME, "{name}: never back");
            app.pass(Duration::from_secs(1));
            back = get(&admin, "ana").await.value(200);
        }
        assert_eq!(back["profile"]["name"], "Ana B", "{name}");
    }
}

/// More than the buffers of a connection hold, far less than comes in ten seconds.
const ENOUGH: usize = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_answer_is_cut_off_long_before_its_time_is_over() {
    for bytes in [head(""), b"HTTP/1.1 200 OK\r\nx:".to_vec()] {
        let loader = TestLoader::start(Manner::Endless(bytes)).await;
        let app = with(&loader, &[]);
        let answer = get(&app.admin(), "ana").await;
        answer.problem(503, "loader_unavailable");
        assert!(
            loader.endless_bytes() < ENOUGH,
            "{}",
            loader.endless_bytes()
        );
    }
}

#[tokio::test]
async fn a_loader_that_is_not_there_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{{login_id}}", listener.local_addr().unwrap());
    drop(listener);
    let app = TestApp::with(&[("SGW_PROFILE_LOADER_URL", &url)]);
    let admin = app.admin();
    get(&admin, "ana").await.problem(503, "loader_unavailable");
    let put = json!({"profile": {"v": 1}, "ttl_seconds": 60});
    admin.put(path("ana")).json(&put).await.expect(200);
    assert_read(&admin, "ana", &json!({"v": 1}), false).await;
    app.pass(Duration::from_secs(60));
    assert_read(&admin, "ana", &json!({"v": 1}), true).await;
    admin.delete(path("ana")).await.expect(204);
    get(&admin, "ana").await.problem(503, "loader_unavailable");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (elsewhere, _) = knowing(json!({"name": "Eve"})).await;
    let (loader, _) = knowing(json!({})).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Moved",
        "308 Moved",
    ] {
        let app = with(&loader, &[]);
        let address = elsewhere.address;
        let redirect = format!("{status}\r\nlocation: http://{address}/users/ana");
        loader.answers(Manner::status(&redirect));
        let answer = get(&app.admin(), "ana").await;
        answer.problem(503, "loader_unavailable");
    }
    assert_eq!((elsewhere.count(), loader.count()), (0, 5));
}

#[tokio::test]
async fn a_failing_loader_is_asked_once_a_second_for_one_profile() {
    let loader = TestLoader::start(Manner::status("500 Oops")).await;
    let app = with(&loader, &[]);
    let admin = app.admin();
    for second in 1..=3 {
        for _ in 0..10 {
            get(&admin, "ana").await.problem(503, "loader_unavailable");
        }
        assert_eq!(loader.count(), second);
        app.pass(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn what_is_stale_is_served_for_its_time_only() {
    for (stale_for, served) in [("10m", true), ("0s", false)] {
        let (loader, profile) = knowing(json!({"v": 1})).await;
        let app = with(&loader, &[("SGW_PROFILE_STALE_FOR", stale_for)]);
        let admin = app.admin();
        assert_read(&admin, "ana", &profile, false).await;
        loader.answers(Manner::status("500 Oops"));
        app.pass(FRESH);
        if served {
            assert_read(&admin, "ana", &profile, true).await;
            app.pass(Duration::from_secs(10 * 60));
        }
        get(&admin, "ana").await.problem(503, "loader_unavailable");
    }
}
