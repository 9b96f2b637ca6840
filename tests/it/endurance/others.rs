//! Requests of others while somebody asks for much: what each was told, and how long it waited.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;

use crate::support::{Call, Client, Opened, open};

/// Sessions of others.
pub(super) const BYSTANDERS: usize = 20;
/// Between two requests of others.
const PACE: Duration = Duration::from_millis(5);

/// Requests of others, one after the other, paced.
pub(super) struct Others {
    done: Arc<AtomicBool>,
    sessions: Vec<Opened>,
    asking: JoinHandle<Waits>,
}

impl Others {
    /// Verifications that ask the store, and writes, of sessions that live on.
    pub(super) async fn start(client: Client) -> Self {
        let mut sessions = Vec::new();
        for number in 0..BYSTANDERS {
            let new = json!({"login_id": format!("other-{number}"), "attributes": {"n": 0}});
            sessions.push(open(&client, new).await);
        }
        let done = Arc::new(AtomicBool::new(false));
        let asking = ask(client, sessions.clone(), Arc::clone(&done));
        Self {
            done,
            asking: tokio::spawn(asking),
            sessions,
        }
    }

    /// How long they waited, and their sessions.
    pub(super) async fn end(self) -> (Waits, Vec<Opened>) {
        self.done.store(true, Ordering::SeqCst);
        (self.asking.await.unwrap(), self.sessions)
    }
}

async fn ask(client: Client, sessions: Vec<Opened>, done: Arc<AtomicBool>) -> Waits {
    let (mut waits, mut pace) = (JoinSet::new(), interval(PACE));
    for session in sessions.iter().cycle() {
        pace.tick().await;
        if done.load(Ordering::SeqCst) {
            break;
        }
        let verify = client.post("/v1/tokens/verify");
        let verify = verify.header("cache-control", "no-cache");
        let verify = verify.json(&json!({"token": session.token}));
        let write = client.post(session.at("/attributes/n/increment"));
        let write = write.json(&json!({"by": 1}));
        for call in [verify, write] {
            waits.spawn(wait_for(call));
        }
    }
    Waits(waits.join_all().await)
}

/// Known or unknown: on a busy machine Redis may be late, but nobody is told of an end.
async fn wait_for(call: Call) -> Wait {
    let sent = Instant::now();
    let answer = call.await;
    let took = sent.elapsed();
    match answer.status.as_u16() {
        200 => assert_ne!(answer.json()["active"], false, "{}", answer.text()),
        status => assert_eq!(status, 503, "{}", answer.text()),
    }
    Wait {
        sent,
        took,
        is_known: answer.status == 200,
    }
}

/// One request.
#[derive(Debug, Clone, Copy)]
struct Wait {
    sent: Instant,
    took: Duration,
    is_known: bool,
}

/// All requests, in no order.
#[derive(Debug)]
pub(super) struct Waits(Vec<Wait>);

impl Waits {
    /// Those that were sent in a time.
    pub(super) fn between(&self, from: Instant, to: Instant) -> Self {
        let within = self.0.iter().filter(|wait| (from..to).contains(&wait.sent));
        Self(within.copied().collect())
    }

    /// How long so many of a hundred waited at most.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let mut took: Vec<_> = self.0.iter().map(|wait| wait.took).collect();
        took.sort_unstable();
        took[(took.len() - 1) * percent / 100]
    }

    /// The share of those that were answered by what is known.
    pub(super) fn known(&self) -> f64 {
        let known = self.0.iter().filter(|wait| wait.is_known).count();
        known as f64 / self.0.len() as f64
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {:.2} % known: p50 {:?}, p99 {:?}, most {:?}",
            self.0.len(),
            100.0 * self.known(),
            self.percentile(50),
            self.percentile(99),
            self.percentile(100)
        )
    }
}
