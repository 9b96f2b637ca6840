//! How soon a logout holds everywhere: `cargo bench --bench logouts`.
//!
//! One run starts a Redis and three gateways with their caches. Clients verify tokens at all three as fast as they are
//! answered, which gives the most these cores can do, and then at 80 % of it while 10,000 sessions are ended
//! (`SGW_BENCH_LOGOUTS`). Each of them was just verified at every gateway, is ended at one, and is asked for at all three
//! again and again, from the moment its end is acknowledged until each has refused it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails should stop, and its figures are rounded anyway"
)]

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;
use tokio::time::{interval, sleep};

mod bare_redis;
mod gateway;
mod http;
mod knob;
mod service;

use bare_redis::BareRedis;
use gateway::Gateway;
use http::Connection;
use knob::knob;
use service::{Opened, register};

const NODES: usize = 3;

/// Connections that verify, at each gateway.
const VERIFIERS: usize = 16;

/// Sessions that each of them verifies in turn.
const THEIRS: usize = 200;

/// How long the most is measured.
const SPAN: Duration = Duration::from_secs(5);

/// Of the most, while sessions are ended.
const SHARE: f64 = 0.8;

/// Sessions that are ended at the same time.
const LOGOUTS_AT_ONCE: usize = 4;

/// Between two questions whether a session has ended.
const AGAIN: Duration = Duration::from_millis(1);

fn main() {
    // One thread: the other core is for the servers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = BareRedis::start();
    let store = format!("redis://{}", redis.address);
    let nodes: Vec<Gateway> = (0..NODES).map(|_| Gateway::start(&store)).collect();
    LocalSet::new().block_on(&runtime, run(&nodes));
}

async fn run(nodes: &[Gateway]) {
    let secret = register(nodes[0].address).await;
    let mut verifiers = Vec::new();
    for number in 0..NODES * VERIFIERS {
        let connection = connect(&nodes[number % NODES], &secret).await;
        verifiers.push(Verifier::open(connection, number).await);
    }
    let started = Instant::now();
    let stop = Rc::new(Cell::new(false));
    let load = tokio::task::spawn_local(verify(verifiers, None, Rc::clone(&stop)));
    sleep(SPAN).await;
    stop.set(true);
    let (verifiers, done) = load.await.unwrap();
    let most = done as f64 / started.elapsed().as_secs_f64();
    let pace = Duration::from_secs_f64((NODES * VERIFIERS) as f64 / (most * SHARE));

    let stop = Rc::new(Cell::new(false));
    let load = tokio::task::spawn_local(verify(verifiers, Some(pace), Rc::clone(&stop)));
    let started = Instant::now();
    let mut workers = Vec::new();
    for worker in 0..LOGOUTS_AT_ONCE {
        let mut connections = Vec::new();
        for node in nodes {
            connections.push(connect(node, &secret).await);
        }
        workers.push(tokio::task::spawn_local(log_out(connections, worker)));
    }
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await.unwrap());
    }
    let took = started.elapsed();
    stop.set(true);
    let (_, done) = load.await.unwrap();
    report(times, most, done as f64 / took.as_secs_f64(), took);
    for node in nodes {
        println!(
            "A gateway was ready after {} ms and has {:.1} MiB after the run.",
            node.ready_after.as_millis(),
            node.resident_mib()
        );
    }
}

async fn connect(node: &Gateway, secret: &str) -> Connection {
    Connection::open(node.address, "bench", secret).await
}

/// Sessions of one connection.
struct Verifier {
    connection: Connection,
    lines: Vec<String>,
}

impl Verifier {
    async fn open(mut connection: Connection, number: usize) -> Self {
        let mut lines = Vec::new();
        for session in 0..THEIRS {
            let opened = open(&mut connection, &format!("load-{number}-{session}")).await;
            lines.push(bearer(&opened));
        }
        Self { connection, lines }
    }

    async fn repeat(mut self, pace: Option<Duration>, stop: Rc<Cell<bool>>) -> (Self, usize) {
        let mut ticks = pace.map(interval);
        let mut done = 0;
        while !stop.get() {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            assert!(lives(&mut self.connection, &self.lines[done % THEIRS]).await);
            done += 1;
        }
        (self, done)
    }
}

/// Each verifies until told to stop: as fast as it is answered, or at a pace.
async fn verify(
    verifiers: Vec<Verifier>,
    pace: Option<Duration>,
    stop: Rc<Cell<bool>>,
) -> (Vec<Verifier>, usize) {
    let tasks: Vec<_> = verifiers
        .into_iter()
        .map(|verifier| tokio::task::spawn_local(verifier.repeat(pace, Rc::clone(&stop))))
        .collect();
    let (mut verifiers, mut all) = (Vec::new(), 0);
    for task in tasks {
        let (verifier, done) = task.await.unwrap();
        verifiers.push(verifier);
        all += done;
    }
    (verifiers, all)
}

/// The line of a head with the token of a session.
fn bearer(opened: &Opened) -> String {
    format!("authorization: Bearer {}\r\n", opened.token)
}

async fn open(connection: &mut Connection, login_id: &str) -> Opened {
    let new = format!(r#"{{"login_id":"{login_id}"}}"#);
    let call = connection.call("POST", "/v1/sessions", &new, 201);
    serde_json::from_slice(call.await.expect("Redis answers")).unwrap()
}

/// What a proxy asks.
async fn lives(connection: &mut Connection, line: &str) -> bool {
    let (status, body) = connection.ask("GET", "/auth/nginx", line, "").await;
    assert!(
        matches!(status, 200 | 401),
        "{}",
        String::from_utf8_lossy(body)
    );
    status == 200
}

/// Ends sessions, and tells of each when the last gateway refused it, counted from the acknowledgement.
async fn log_out(mut nodes: Vec<Connection>, worker: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..knob("SGW_BENCH_LOGOUTS", 10_000) / LOGOUTS_AT_ONCE {
        let ender = number % NODES;
        let opened = open(&mut nodes[ender], &format!("ends-{worker}-{number}")).await;
        let line = bearer(&opened);
        for node in &mut nodes {
            assert!(lives(node, &line).await);
            assert!(lives(node, &line).await);
        }
        let path = format!("/v1/sessions/{}", opened.session.session_id);
        let answer = nodes[ender].call("DELETE", &path, "", 204).await;
        answer.expect("Redis answers");
        let acknowledged = Instant::now();
        assert!(!lives(&mut nodes[ender], &line).await, "its own node");
        for node in &mut nodes {
            while lives(node, &line).await {
                sleep(AGAIN).await;
            }
        }
        times.push(acknowledged.elapsed());
    }
    times
}

fn report(mut times: Vec<Duration>, most: f64, under: f64, took: Duration) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1_000].as_secs_f64() * 1e3;
    println!("| logouts | verifications/s beside them | of the most | median | p99 | worst |");
    println!("| --- | --- | --- | --- | --- | --- |");
    println!(
        "| {} in {:.0} s | {under:.0} | {:.2} | {:.1} ms | {:.1} ms | {:.1} ms |",
        times.len(),
        took.as_secs_f64(),
        under / most,
        at(500),
        at(990),
        at(1_000),
    );
}
