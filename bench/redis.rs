//! What a gateway makes of the Redis below it: `cargo bench --bench redis`.
//!
//! One run starts a server with an append-only file (`everysec`) and one gateway before it. Each round asks the bare
//! server (`redis-benchmark`, SET and GET of 300 bytes) and then the gateway over HTTP, as a registered service, by as
//! many clients without pipelining. `SGW_BENCH_ROUNDS` sets how many rounds there are (default 5); the table has their
//! medians. CPU times are of one process and one request, load generator not included.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails should stop, and its figures are rounded anyway"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

mod gateway;
mod http;

use gateway::{Gateway, SECRET, free_address};
use http::Connection;

/// Clients that call at the same time.
const CLIENTS: usize = 64;

/// How long an operation is measured in a round.
const SPAN: Duration = Duration::from_secs(3);

/// What `redis-benchmark` sends of each command in a round.
const BARE_REQUESTS: usize = 100_000;

/// Ticks of `/proc/<id>/stat` in a second, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// In the order in which a round measures them.
const OPERATIONS: [Operation; 5] = [
    Operation::Open,
    Operation::Find,
    Operation::Verify,
    Operation::SetAttribute,
    Operation::Delete,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Open,
    Find,
    Verify,
    SetAttribute,
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open, three attributes",
            Self::Find => "find",
            Self::Verify => "verify",
            Self::SetAttribute => "set an attribute",
            Self::Delete => "delete",
        }
    }

    /// The command that the bare server is asked for beside it.
    fn beside(self) -> &'static str {
        match self {
            Self::Open | Self::SetAttribute | Self::Delete => "SET",
            Self::Find | Self::Verify => "GET",
        }
    }
}

fn main() {
    // One thread: the other core is for the servers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = Redis::start();
    let gateway = Gateway::start(&format!("redis://{}", redis.address));
    let secret = runtime.block_on(register(gateway.address));
    let mut bare: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut measured: BTreeMap<Operation, Vec<Measured>> = BTreeMap::new();
    for _ in 0..rounds() {
        for (command, rate) in redis.bare_rates() {
            bare.entry(command).or_default().push(rate);
        }
        let mut clients = runtime.block_on(clients(gateway.address, &secret));
        for operation in OPERATIONS {
            let cpu = || [cpu_time(&gateway.process), cpu_time(&redis.process)];
            let before = cpu();
            let (rate, latencies);
            (clients, rate, latencies) = runtime.block_on(run(clients, operation));
            let after = cpu();
            let cost = [0, 1].map(|which| (after[which] - before[which]) / latencies.len() as f64);
            let round = Measured::new(rate, latencies, cost);
            measured.entry(operation).or_default().push(round);
        }
    }
    report(&bare, &measured);
    println!();
    println!(
        "The gateway was ready after {} ms and has {:.1} MiB after the run.",
        gateway.ready_after.as_millis(),
        gateway.resident_mib()
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has no configuration of its own"
)]
fn rounds() -> usize {
    std::env::var("SGW_BENCH_ROUNDS")
        .ok()
        .map_or(5, |text| text.parse().unwrap())
}

/// One operation in one round.
struct Measured {
    rate: f64,
    p50: Duration,
    p99: Duration,
    gateway_cpu: f64,
    redis_cpu: f64,
}

impl Measured {
    fn new(rate: f64, mut latencies: Vec<Duration>, [gateway_cpu, redis_cpu]: [f64; 2]) -> Self {
        latencies.sort_unstable();
        Self {
            rate,
            p50: latencies[latencies.len() / 2],
            p99: latencies[latencies.len() * 99 / 100],
            gateway_cpu,
            redis_cpu,
        }
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(bare: &BTreeMap<&str, Vec<f64>>, measured: &BTreeMap<Operation, Vec<Measured>>) {
    println!(
        "| measured | requests/s | of the bare server | p50 | p99 | CPU, gateway | CPU, Redis |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (command, rates) in bare {
        let rate = median(rates.iter().copied());
        println!("| redis-benchmark {command}, 300 bytes | {rate:.0} | | | | | |");
    }
    for (operation, rounds) in measured {
        let of = |part: fn(&Measured) -> f64| median(rounds.iter().map(part));
        let beside = &bare[operation.beside()];
        let ratios = rounds
            .iter()
            .zip(beside)
            .map(|(round, bare)| round.rate / bare);
        println!(
            "| {} | {:.0} | {:.2} × {} | {:.2} ms | {:.2} ms | {:.0} µs | {:.0} µs |",
            operation.name(),
            of(|round| round.rate),
            median(ratios),
            operation.beside(),
            of(|round| round.p50.as_secs_f64() * 1e3),
            of(|round| round.p99.as_secs_f64() * 1e3),
            of(|round| round.gateway_cpu * 1e6),
            of(|round| round.redis_cpu * 1e6),
        );
    }
}

/// One keep-alive connection and the sessions that were opened by it.
struct Client {
    connection: Connection,
    name: usize,
    sessions: Vec<OpenedSession>,
}

#[derive(Deserialize)]
struct Opened {
    session: OpenedId,
    token: String,
}

#[derive(Deserialize)]
struct OpenedId {
    session_id: String,
}

struct OpenedSession {
    path: String,
    token: String,
}

/// A service as most callers are: looked up in the store.
async fn register(address: SocketAddr) -> String {
    #[derive(Deserialize)]
    struct Registered {
        secret: String,
    }
    let mut admin = Connection::open(address, "admin", SECRET).await;
    let service = r#"{"service_id":"bench","service_name":"Benchmark","permissions":["*"]}"#;
    let body = admin.call("POST", "/v1/services", service, 201).await;
    serde_json::from_slice::<Registered>(body).unwrap().secret
}

async fn clients(address: SocketAddr, secret: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for name in 0..CLIENTS {
        clients.push(Client {
            connection: Connection::open(address, "bench", secret).await,
            name,
            sessions: Vec::new(),
        });
    }
    clients
}

/// All clients at once, for the span or until there is nothing left to do.
async fn run(clients: Vec<Client>, operation: Operation) -> (Vec<Client>, f64, Vec<Duration>) {
    let started = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(client.repeat(operation, started + SPAN)))
        .collect();
    let mut clients = Vec::new();
    let mut latencies = Vec::new();
    for task in tasks {
        let (client, its) = task.await.unwrap();
        clients.push(client);
        latencies.extend(its);
    }
    let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
    (clients, rate, latencies)
}

impl Client {
    async fn repeat(mut self, operation: Operation, until: Instant) -> (Self, Vec<Duration>) {
        let mut latencies = Vec::new();
        loop {
            let sent = Instant::now();
            if sent >= until || !self.once(operation, latencies.len()).await {
                return (self, latencies);
            }
            latencies.push(sent.elapsed());
        }
    }

    /// Tells whether there was something to do.
    async fn once(&mut self, operation: Operation, turn: usize) -> bool {
        let connection = &mut self.connection;
        if operation == Operation::Open {
            let new = format!(
                r#"{{"login_id":"user-{}-{turn}","attributes":{{"role":"admin","locale":"en-GB","plan":{{"tier":"pro"}}}}}}"#,
                self.name
            );
            let body = connection.call("POST", "/v1/sessions", &new, 201).await;
            let opened: Opened = serde_json::from_slice(body).unwrap();
            self.sessions.push(OpenedSession {
                path: format!("/v1/sessions/{}", opened.session.session_id),
                token: opened.token,
            });
            return true;
        }
        if operation == Operation::Delete {
            let Some(session) = self.sessions.pop() else {
                return false;
            };
            connection.call("DELETE", &session.path, "", 204).await;
            return true;
        }
        let session = &self.sessions[turn % self.sessions.len()];
        match operation {
            Operation::Verify => {
                let token = format!(r#"{{"token":"{}"}}"#, session.token);
                connection
                    .call("POST", "/v1/tokens/verify", &token, 200)
                    .await;
            }
            Operation::SetAttribute => {
                let path = format!("{}/attributes/locale", session.path);
                connection.call("PUT", &path, "\"de-DE\"", 200).await;
            }
            Operation::Find | Operation::Open | Operation::Delete => {
                connection.call("GET", &session.path, "", 200).await;
            }
        }
        true
    }
}

/// The server below.
struct Redis {
    process: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Redis {
    /// Syncs its file every second and does not write it anew in the middle of a round.
    fn start() -> Self {
        let (dir, address) = (tempfile::tempdir().unwrap(), free_address());
        let process = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
            ])
            .args(["--auto-aof-rewrite-percentage", "0", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "Redis is not there"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Self {
            process,
            address,
            _dir: dir,
        }
    }

    /// What it answers in a second without a gateway.
    fn bare_rates(&self) -> [(&'static str, f64); 2] {
        let output = Command::new("redis-benchmark")
            .args([
                "-p",
                &self.address.port().to_string(),
                "-c",
                &CLIENTS.to_string(),
            ])
            .args(["-n", &BARE_REQUESTS.to_string(), "-P", "1", "-t", "set,get"])
            .args(["-r", "100000", "-d", "300", "--csv"])
            .output()
            .expect("redis-benchmark is installed");
        let table = String::from_utf8(output.stdout).unwrap();
        ["SET", "GET"].map(|command| {
            let row = table
                .lines()
                .find_map(|row| row.strip_prefix(&format!("\"{command}\",\"")));
            let rate = row.unwrap().split('"').next().unwrap();
            (command, rate.parse().unwrap())
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// All CPU time of a process so far, in seconds.
fn cpu_time(process: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields = after_name.split_whitespace();
    // The 14th and 15th field of all, of which two are before.
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks / TICKS_PER_SECOND
}
