//! Callers who hang up at any moment, before a Redis whose replies come at any moment: nobody ever gets the answer of
//! another.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_blocking};

use super::latency::LongWay;
use super::{gateway_on, long, open, tell};
use crate::support::redis::RedisServer;
use crate::support::{ADMIN_SECRET, Client};

const USERS: usize = 2_000;

/// Callers at a time.
const CALLERS: usize = 64;

/// Of a hundred requests, how many are given up.
const DROPPED: u32 = 80;

/// The longest a caller waits who will give up: some hang up before the request is read, some as the answer comes.
const PATIENCE_MICROS: u32 = 6_000;

fn requests() -> usize {
    if long() { 1_000_000 } else { 100_000 }
}

/// A number below another, at random.
fn below(end: u32) -> u32 {
    let random = u64::from(getrandom::u32().unwrap()) * u64::from(end);
    u32::try_from(random >> 32).unwrap()
}

/// The tokens of all users; each has a session whose attributes name them.
async fn log_in_all(admin: &Client) -> Vec<String> {
    let mut tokens = Vec::with_capacity(USERS);
    for first in (0..USERS).step_by(CALLERS) {
        let mut some = JoinSet::new();
        for number in first..USERS.min(first + CALLERS) {
            let admin = admin.clone();
            some.spawn(async move {
                let user = format!("user-{number}");
                let session = json!({"login_id": user, "attributes": {"user": user}});
                (number, open(&admin, session).await.token)
            });
        }
        let mut some = some.join_all().await;
        some.sort();
        tokens.extend(some.into_iter().map(|(_, token)| token));
    }
    tokens
}

/// One who calls for all users, and hangs up most of the time.
struct Caller {
    address: SocketAddr,
    tokens: Arc<Vec<String>>,
    connection: Option<BufReader<TcpStream>>,
}

impl Caller {
    /// Returns how many answers it waited for and got.
    fn call_until_over(mut self, left: &AtomicUsize) -> usize {
        let mut answered = 0;
        let one_less = |left: usize| left.checked_sub(1);
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
        {
            let number = usize::try_from(below(u32::try_from(USERS).unwrap())).unwrap();
            let mut connection = self.send(number);
            if below(100) < DROPPED {
                thread::sleep(Duration::from_micros(below(PATIENCE_MICROS).into()));
                continue;
            }
            let (status, body) = receive(&mut connection);
            self.connection = Some(connection);
            if status == 503 {
                continue;
            }
            assert_eq!(status, 200, "{body}");
            let session = &body["session"];
            let user = format!("user-{number}");
            assert_eq!(session["login_id"], user, "{body}");
            assert_eq!(session["attributes"]["user"], user, "{body}");
            answered += 1;
        }
        answered
    }

    fn send(&mut self, number: usize) -> BufReader<TcpStream> {
        let connection = self.connection.take();
        let mut connection = connection.unwrap_or_else(|| {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            BufReader::new(stream)
        });
        let credentials = STANDARD.encode(format!("admin:{ADMIN_SECRET}"));
        let body = json!({"token": self.tokens[number]}).to_string();
        let length = body.len();
        let request = format!(
            "POST /v1/tokens/verify HTTP/1.1\r\nhost: gateway\r\nauthorization: Basic {credentials}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        connection
    }
}

fn receive(connection: &mut BufReader<TcpStream>) -> (u16, Value) {
    let mut status = 0;
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(code) = line.strip_prefix("http/1.1 ") {
            status = code[..3].parse().unwrap();
        } else if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_leaves_no_answer_to_another() {
    let redis = RedisServer::start().await;
    let way = LongWay::to(redis.port).await;
    let gateway = gateway_on(&way.url()).await;
    let tokens = Arc::new(log_in_all(&gateway.admin()).await);
    way.set(Duration::ZERO, Duration::from_millis(4));
    let left = Arc::new(AtomicUsize::new(requests()));
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let caller = Caller {
            address: gateway.address(),
            tokens: Arc::clone(&tokens),
            connection: None,
        };
        let left = Arc::clone(&left);
        callers.spawn(async move {
            let call = spawn_blocking(move || caller.call_until_over(&left));
            call.await.unwrap()
        });
    }
    let answered: usize = callers.join_all().await.into_iter().sum();
    tell(format_args!(
        "{} requests, {answered} answers, each to its own user, in {:?}",
        requests(),
        start.elapsed()
    ));
    assert!(answered * 20 > requests(), "{answered} answers");
}
