//! What is done of what is asked, as more and more is asked: sessions that are opened, by as many as a gateway has never
//! too much to do with, twice and four times as many.
//!
//! `SGW_TEST_LOAD_SECONDS` sets how long each is measured, and then at four times the load nine tenths of the best must be
//! left; the machine should have nothing else to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::redis::RedisServer;
use crate::support::{Client, Gateway, Launch, size};

/// Who open sessions, each the next as soon as it is answered, or when it was told to come again; in times of the first.
const OPENERS: usize = 250;
const TIMES: [usize; 3] = [1, 2, 4];
/// How long is measured, unless the environment says more.
const SECONDS: usize = 2;
/// Of the best, at any load.
const LEAST: f64 = 0.9;

#[derive(Debug, Default)]
struct Done {
    opened: AtomicUsize,
    shed: AtomicUsize,
    late: AtomicUsize,
}

async fn open_until(client: Client, end: Instant, done: Arc<Done>, opener: usize) {
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        let wanted = json!({"login_id": format!("user {opener} {number}")});
        let answer = client.post("/v1/sessions").json(&wanted).await;
        let counted = match answer.status.as_u16() {
            201 => &done.opened,
            503 if answer.json()["code"] == "overloaded" => &done.shed,
            503 => &done.late,
            other => panic!("{other}: {}", answer.text()),
        };
        counted.fetch_add(1, Ordering::Relaxed);
        if answer.status == 503 {
            let seconds = answer.header("retry-after").parse().unwrap();
            let left = end.saturating_duration_since(Instant::now());
            sleep(Duration::from_secs(seconds).min(left)).await;
        }
    }
}

/// Sessions a second that are opened by so many.
async fn goodput(gateway: &Gateway, openers: usize, time: Duration) -> f64 {
    let done = Arc::new(Done::default());
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for opener in 0..openers {
        let opening = open_until(gateway.admin(), start + time, Arc::clone(&done), opener);
        tasks.spawn(opening);
    }
    tasks.join_all().await;
    let opened = u32::try_from(done.opened.load(Ordering::Relaxed)).unwrap();
    let rate = f64::from(opened) / start.elapsed().as_secs_f64();
    eprintln!("{openers} openers: {rate:.0} a second; {done:?}");
    rate
}

#[tokio::test(flavor = "multi_thread")]
async fn four_times_the_load_leaves_most_of_what_is_done() {
    let seconds = size("SGW_TEST_LOAD_SECONDS", 0);
    let time = Duration::from_secs(seconds.max(SECONDS) as u64);
    let redis = RedisServer::start().await;
    // All are one service, which is not to be bounded here.
    let launch = Launch::new()
        .set("SGW_SERVICE_MAX_OPENS_PER_SECOND", "0")
        .unset("SGW_STORE");
    let gateway = launch.set("SGW_STORE", &redis.url()).start().await;
    let mut best = 0_f64;
    for times in TIMES {
        let rate = goodput(&gateway, times * OPENERS, time).await;
        best = best.max(rate);
        let enough = seconds == 0 || rate >= LEAST * best;
        assert!(
            rate > 0.0 && enough,
            "{rate:.0} of {best:.0} a second at {times} times the load"
        );
    }
    let stderr = gateway.stderr();
    let lines = stderr
        .lines()
        .filter(|line| line.contains("could not be served"));
    assert!(lines.count() <= 40, "503s are logged by count");
}
