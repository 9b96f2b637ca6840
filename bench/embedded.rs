//! What the embedded store costs and what the server makes of it: `cargo bench --bench embedded`.
//!
//! One run measures, on the same disk and in this order: the disk's own rate of fsync, durable creates of the bare
//! store, durable creates over HTTP, memory and time to readiness with an empty store, and time to readiness with
//! `SGW_BENCH_SESSIONS` sessions (default 1,000,000).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails should stop, and its figures are rounded anyway"
)]

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use session_gateway::clock::{Machine, SteadyClock};
use session_gateway::entropy::{Entropy, SessionIds};
use session_gateway::model::id::{LoginId, ServiceId};
use session_gateway::model::permission::Scope;
use session_gateway::model::session::SessionState;
use session_gateway::model::session_token::{StoredToken, TokenOrigin};
use session_gateway::model::token::Token;
use session_gateway::rules::create::NewSession;
use session_gateway::store::Stores;
use session_gateway::store::embedded::{EmbeddedSettings, EmbeddedStore};

mod gateway;
mod http;
mod knob;

use gateway::{Gateway, SECRET};
use http::Connection;
use knob::knob;

/// Clients that create at the same time.
const CLIENTS: usize = 64;

/// How long each rate is measured.
const SPAN: Duration = Duration::from_secs(10);

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fsync = fsyncs_per_second(dir.path());
    let bare = runtime.block_on(bare_creates(&dir.path().join("bare")));
    let gateway = start(&dir.path().join("http"));
    let (ready_empty, idle_rss) = (gateway.ready_after, gateway.resident_mib());
    let http = runtime.block_on(http_creates(gateway.address));
    drop(gateway);

    let wanted = knob("SGW_BENCH_SESSIONS", 1_000_000) as u64;
    let full = dir.path().join("full");
    runtime.block_on(fill(&full, wanted));
    let gateway = start(&full);
    let (ready_full, full_rss) = (gateway.ready_after, gateway.resident_mib());
    drop(gateway);

    println!("| measured | value | beside it |");
    println!("| --- | --- | --- |");
    println!("| fsync of 4 KiB, one after another | {fsync:.0} /s | |");
    println!(
        "| durable creates, bare store, {CLIENTS} tasks | {bare:.0} /s | {:.2} × fsync |",
        bare / fsync
    );
    println!(
        "| durable creates over HTTP, {CLIENTS} clients | {http:.0} /s | {:.2} × bare store |",
        http / bare
    );
    println!(
        "| ready, empty store | {} ms | aim ≤ 100 ms |",
        ready_empty.as_millis()
    );
    println!("| resident memory, idle | {idle_rss:.1} MiB | aim ≤ 30 MB |");
    println!(
        "| ready, {wanted} sessions | {} ms | aim ≤ 500 ms |",
        ready_full.as_millis()
    );
    println!("| resident memory, idle, {wanted} sessions | {full_rss:.1} MiB | |");
}

fn start(dir: &Path) -> Gateway {
    Gateway::start(&format!("embedded:{}", dir.display()))
}

fn fsyncs_per_second(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("fsync")).unwrap();
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < SPAN / 3 {
        file.write_all(&[0x5a; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

fn open(dir: &Path) -> Stores {
    let settings = EmbeddedSettings {
        idle_after: Duration::from_secs(300),
        tombstone_retention: Duration::from_secs(3_600),
        event_retention: Duration::from_secs(86_400),
        touch_interval: Duration::from_secs(10),
        reserve: None,
    };
    EmbeddedStore::open(dir, settings, Arc::new(SteadyClock::new(Machine))).unwrap()
}

async fn create(stores: &Stores, login: u64) {
    static IDS: LazyLock<SessionIds> = LazyLock::new(SessionIds::default);
    let login_id = LoginId::parse(&format!("user-{login}")).unwrap();
    let entropy = Entropy::Fresh;
    let session_id = entropy
        .session_id(&IDS, stores.sessions.now(), &login_id)
        .unwrap();
    let hash = Token::own(session_id, &entropy.token().unwrap()).hash();
    let attributes =
        serde_json::from_str(r#"{"role":"admin","locale":"en-GB","plan":{"tier":"pro"}}"#).unwrap();
    let new = NewSession {
        session_id,
        token: StoredToken {
            hash,
            origin: TokenOrigin::Gateway,
        },
        login_id,
        service_id: ServiceId::parse("bench").unwrap(),
        registration: None,
        state: SessionState::Active,
        idle_timeout: Duration::from_secs(1_800),
        max_age: Duration::from_secs(86_400),
        limit: None,
        limit_scope: Scope::All,
        attributes,
        device: None,
        device_id: None,
        connection_id: None,
        client_ip: None,
        client_port: None,
        user_agent: None,
        server_addr: None,
        operation_id: None,
    };
    stores.sessions.create(new).await.unwrap();
}

/// Runs `clients` loops side by side until the span is over; tells how often they went round in a second.
async fn rate<F, L>(clients: usize, work: F) -> f64
where
    F: Fn(Arc<AtomicU64>, Instant) -> L,
    L: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(work(Arc::clone(&count), started + SPAN)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

async fn bare_creates(dir: &Path) -> f64 {
    let stores = open(dir);
    rate(CLIENTS, |count, until| {
        let stores = stores.clone();
        async move {
            while Instant::now() < until {
                create(&stores, count.fetch_add(1, Ordering::Relaxed)).await;
            }
        }
    })
    .await
}

async fn fill(dir: &Path, sessions: u64) {
    let stores = open(dir);
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..1_024)
        .map(|_| {
            let (stores, next) = (stores.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let login = next.fetch_add(1, Ordering::Relaxed);
                    if login >= sessions {
                        break;
                    }
                    create(&stores, login).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn http_creates(address: SocketAddr) -> f64 {
    let logins = Arc::new(AtomicU64::new(0));
    rate(CLIENTS, |count, until| {
        let logins = Arc::clone(&logins);
        async move {
            let mut connection = Connection::open(address, "admin", SECRET).await;
            while Instant::now() < until {
                let login = logins.fetch_add(1, Ordering::Relaxed);
                let new = format!(
                    r#"{{"login_id":"user-{login}","attributes":{{"role":"admin","locale":"en-GB","plan":{{"tier":"pro"}}}}}}"#
                );
                let answer = connection.call("POST", "/v1/sessions", &new, 201).await;
assert!(answer.is_some(), "the store failed");
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await
}
