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
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_gateway::clock::SystemClock;
use session_gateway::draw::Draw;
use session_gateway::model::id::{LoginId, ServiceId};
use session_gateway::model::session::{SessionState, StoredToken, TokenOrigin};
use session_gateway::model::token::Token;
use session_gateway::store::embedded::{EmbeddedSettings, EmbeddedStore};
use session_gateway::store::{NewSession, Stores};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Clients that create at the same time.
const CLIENTS: usize = 64;

/// How long each rate is measured.
const SPAN: Duration = Duration::from_secs(10);

/// Secret of the built-in service during the run.
const SECRET: &str = "benchmark-secret-of-more-than-32-bytes";

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fsync = fsyncs_per_second(dir.path());
    let bare = runtime.block_on(bare_creates(&dir.path().join("bare")));
    let gateway = Gateway::start(&dir.path().join("http"));
    let (ready_empty, idle_rss) = (gateway.ready_after, gateway.resident_kib());
    let http = runtime.block_on(http_creates(gateway.address));
    drop(gateway);

    let wanted = sessions_wanted();
    let full = dir.path().join("full");
    runtime.block_on(fill(&full, wanted));
    let gateway = Gateway::start(&full);
    let (ready_full, full_rss) = (gateway.ready_after, gateway.resident_kib());
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
    println!(
        "| resident memory, idle | {:.1} MiB | aim ≤ 30 MB |",
        idle_rss as f64 / 1024.0
    );
    println!(
        "| ready, {wanted} sessions | {} ms | aim ≤ 500 ms |",
        ready_full.as_millis()
    );
    println!(
        "| resident memory, idle, {wanted} sessions | {:.1} MiB | |",
        full_rss as f64 / 1024.0
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has no configuration of its own"
)]
fn sessions_wanted() -> u64 {
    std::env::var("SGW_BENCH_SESSIONS")
        .ok()
        .map_or(1_000_000, |text| text.parse().unwrap())
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
    };
    EmbeddedStore::open(dir, settings, Arc::new(SystemClock)).unwrap()
}

async fn create(stores: &Stores, login: u64) {
    let login_id = LoginId::parse(&format!("user-{login}")).unwrap();
    let draw = Draw::Fresh;
    let session_id = draw.session_id(stores.sessions.now(), &login_id).unwrap();
    let hash = Token::own(session_id, &draw.token().unwrap()).hash();
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
        state: SessionState::Active,
        idle_timeout: Duration::from_secs(1_800),
        max_age: Duration::from_secs(86_400),
        limit: None,
        attributes,
        device: None,
        device_id: None,
        connection_id: None,
        client_ip: None,
        client_port: None,
        user_agent: None,
        server_addr: None,
        mark: None,
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
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut buffer = vec![0; 16 * 1024];
            while Instant::now() < until {
                let login = logins.fetch_add(1, Ordering::Relaxed);
                post_session(&mut stream, login, &mut buffer).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .await
}

async fn post_session(stream: &mut TcpStream, login: u64, buffer: &mut [u8]) {
    let body = format!(
        r#"{{"login_id":"user-{login}","attributes":{{"role":"admin","locale":"en-GB","plan":{{"tier":"pro"}}}}}}"#
    );
    let request = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: bench\r\nx-service-id: admin\r\nx-service-secret: {SECRET}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut filled = 0;
    loop {
        filled += stream.read(&mut buffer[filled..]).await.unwrap();
        let text = std::str::from_utf8(&buffer[..filled]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("HTTP/1.1 201"), "{text}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            break;
        }
    }
}

/// The server as its users run it.
struct Gateway {
    process: Child,
    address: SocketAddr,
    ready_after: Duration,
}

impl Gateway {
    fn start(dir: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let started = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_session-gateway"))
            .env("SGW_LISTEN", address.to_string())
            .env("SGW_STORE", format!("embedded:{}", dir.display()))
            .env("SGW_ADMIN_SECRET", SECRET)
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        while !is_ready(address) {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the server is not ready after a minute"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Self {
            process,
            address,
            ready_after: started.elapsed(),
        }
    }

    fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else {
        return false;
    };
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}
