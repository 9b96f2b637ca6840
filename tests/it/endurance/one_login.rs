//! Thousands of short sessions of one login, which nobody lists and no expiry event tells of, leave nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool_redis::redis::{Connection, pipe};
use nix::sys::signal::Signal;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::stored::{DEADLINE, ENDLESS, Stored, now, serves};
use crate::support::redis::eventually;
use crate::support::{Client, persistently};

const SESSIONS: usize = 10_000;
const CLIENTS: usize = 8;
const LOGIN: &str = "one";

/// What the index of the login may hold beside live sessions: what is over and not swept yet. Generous, as sweeping
/// shares a busy machine with all that opens.
const SURPLUS: usize = SESSIONS / 2;

/// The index of the login, and where the sessions of its shard are filed by their expiry.
struct Indexes {
    master: Connection,
    login: Vec<u8>,
    expiries: String,
}

impl Indexes {
    fn of(stored: &Stored) -> Self {
        let digest = Sha256::digest(LOGIN);
        let tag = format!("sgw:{{{:02x}}}:", digest[0]);
        let login = [tag.as_bytes(), b"l:", &digest[..16]].concat();
        let mut masters = stored.masters().into_iter();
        Self {
            master: masters
                .find_map(|mut it| serves(&mut it, &login).then_some(it))
                .unwrap(),
            login,
            expiries: format!("{tag}x"),
        }
    }

    /// How many sessions the index has beside those that live.
    fn surplus(&mut self) -> usize {
        let now = now(&mut self.master);
        let mut both = pipe();
        both.zcard(&self.login).zcount(&self.expiries, now, "+inf");
        let (all, live): (usize, usize) = both.query(&mut self.master).unwrap();
        all.saturating_sub(live)
    }
}

async fn open_all(client: &Client) {
    let left = Arc::new(AtomicUsize::new(SESSIONS));
    let short = json!({"login_id": LOGIN, "idle_timeout_seconds": 1, "max_age_seconds": 1});
    let mut openers = JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, left, short) = (client.clone(), Arc::clone(&left), short.clone());
        openers.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                let opened = persistently(|| client.post("/v1/sessions").json(&short));
                opened.await.expect(201);
            }
        });
    }
    openers.join_all().await;
}

async fn leave_nothing_behind(stored: Stored) {
    for server in &stored.servers {
        server.ask::<()>("CONFIG SET notify-keyspace-events ").await;
    }
    let launch = stored
        .launch()
        .set("SGW_SWEEP_INTERVAL", "100ms")
        .set("SGW_SWEEP_GRACE", "1s")
        .set("SGW_TOMBSTONE_RETENTION", "1s")
        .set("SGW_EVENT_RETENTION", "1s");
    let mut gateway = launch.start().await;
    gateway.service("shop", &["session.read"]).await;
    let client = gateway.admin();
    let mut indexes = Indexes::of(&stored);
    let opening = tokio::spawn(async move { open_all(&client).await });
    let (mut most, started) = (0, Instant::now());
    while !opening.is_finished() {
        most = most.max(indexes.surplus());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    opening.await.unwrap();
    eprintln!(
        "opened in {:?}, at most {most} over and not swept",
        started.elapsed()
    );
    assert!(most <= SURPLUS, "{most} sessions are over and in the index");
    stored.assert_mortal();
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success());
    eventually(DEADLINE, || async {
        let mut left = stored.keys();
        // Of the gateway's own readiness, for a minute.
        left.retain(|key| key != b"sgw:check" && !ENDLESS.contains(&&**key));
        left.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_short_sessions_of_one_login_leave_nothing_behind() {
    leave_nothing_behind(Stored::on_one_server().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_too() {
    leave_nothing_behind(Stored::on_a_cluster().await).await;
}
