//! A bulk deletion that is broken off twice, by its client and by `kill -9`, ends each session once in the end; others
//! are served meanwhile.
//!
//! `SGW_TEST_ENDED` sets how many sessions that is; 5,000 if it is not set. How long others wait is measured and told.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, sleep};

use super::size::fill;
use super::stored::Stored;
use crate::support::redis::eventually;
use crate::support::{Call, Client, Gateway, Opened, feed, open, persistently, size};

/// Sessions of others.
const BYSTANDERS: usize = 20;
/// Between two requests of others.
const PACE: Duration = Duration::from_millis(5);
/// Longer than any part of the deletion takes.
const PHASE: Duration = Duration::from_secs(600);
/// How long others are measured in peace.
const PEACE: Duration = Duration::from_secs(3);

/// Requests of others, one after the other, paced.
struct Others {
    done: Arc<AtomicBool>,
    asking: JoinHandle<Vec<(Instant, Duration)>>,
}

impl Others {
    /// Verifications that ask the store, and writes, of sessions that live on.
    fn start(client: Client, sessions: Vec<Opened>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&done);
        let asking = tokio::spawn(async move {
            let (mut waits, mut pace) = (JoinSet::new(), interval(PACE));
            for session in sessions.iter().cycle() {
                pace.tick().await;
                if until.load(Ordering::SeqCst) {
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
            waits.join_all().await
        });
        Self { done, asking }
    }

    async fn end(self) -> Vec<(Instant, Duration)> {
        self.done.store(true, Ordering::SeqCst);
        self.asking.await.unwrap()
    }
}

async fn wait_for(call: Call) -> (Instant, Duration) {
    let sent = Instant::now();
    let answer = call.await;
    let took = sent.elapsed();
    assert!(
        [200, 503].contains(&answer.status.as_u16()),
        "{}",
        answer.text()
    );
    (sent, took)
}

/// The median, the 99th percentile and the longest of what was sent in a time.
fn waits(all: &[(Instant, Duration)], from: Instant, to: Instant) -> String {
    let within = all.iter().filter(|(sent, _)| (from..to).contains(sent));
    let mut took: Vec<_> = within.map(|(_, took)| *took).collect();
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len().saturating_sub(1) * percent / 100);
    format!(
        "{} requests: p50 {:?}, p99 {:?}, most {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    )
}

fn bulk_delete(gateway: &Gateway, cursor: &Value) -> Call {
    let call = gateway.admin().post("/v1/sessions/bulk-delete");
    let filter = json!({"device": "bulk"});
    call.json(&json!({"filter": filter, "reason": "admin", "cursor": cursor}))
}

/// Deletes until nothing is left; tells how many.
async fn delete_all(gateway: &Gateway) -> u64 {
    let (mut count, mut cursor) = (0, Value::Null);
    loop {
        let answer = persistently(|| bulk_delete(gateway, &cursor))
            .await
            .value(200);
        count += answer["count"].as_u64().unwrap();
        cursor = answer["cursor"].clone();
        if answer["more"] == false {
            return count;
        }
    }
}

/// Begins a deletion, and returns when no more than so many sessions are left.
async fn begin(stored: &Stored, gateway: &Gateway, left: usize) -> JoinHandle<()> {
    let call = bulk_delete(gateway, &Value::Null);
    let deleting = tokio::spawn(async move {
        loop {
            // A busy machine does not keep the deadlines of the store.
            drop(call.clone().attempt().await);
        }
    });
    eventually(PHASE, || async { stored.filed() <= left + BYSTANDERS }).await;
    deleting
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_deletion_that_is_broken_off_and_run_again_ends_each_session_once() {
    let sessions = size("SGW_TEST_ENDED", 5_000);
    let stored = Stored::on_one_server().await;
    fill(&stored, sessions).await;
    let sessions = stored.filed();
    let mut deleting = stored.launch().start().await;
    let serving = stored.launch().start().await;
    let mut bystanders = Vec::new();
    for number in 0..BYSTANDERS {
        let new = json!({"login_id": format!("other-{number}"), "attributes": {"n": 0}});
        bystanders.push(open(&serving.admin(), new).await);
    }
    let others = Others::start(serving.admin(), bystanders.clone());
    let peace = Instant::now();
    sleep(PEACE).await;

    let began = Instant::now();
    let cut = begin(&stored, &deleting, sessions * 4 / 5).await;
    cut.abort();
    drop(cut.await);
    let killed = begin(&stored, &deleting, sessions * 2 / 5).await;
    deleting = deleting.kill_and_restart().await;
    killed.abort();
    drop(killed.await);
    let left = stored.filed() - BYSTANDERS;
    let last = delete_all(&deleting).await;
    let ended = Instant::now();
    let all = others.end().await;
    eprintln!(
        "{sessions} sessions in {:?}, {left} of them after the kill, {} by the last calls\n\
         before: {}\nmeanwhile: {}",
        ended - began,
        last,
        waits(&all, peace, began),
        waits(&all, began, ended),
    );

    assert!(last <= left as u64);
    assert_eq!(stored.filed(), BYSTANDERS);
    assert!(left > 0 && left < sessions, "broken off in the midst");
    let events = feed(&serving.admin(), "session.ended").await;
    let ids: HashSet<_> = events
        .iter()
        .map(|event| event["session_id"].to_string())
        .collect();
    assert_eq!((events.len(), ids.len()), (sessions, sessions));
    assert!(
        events
            .iter()
            .all(|event| event["data"]["reason"] == "admin")
    );
    for session in &bystanders {
        serving.admin().get(session.path()).await.expect(200);
    }
    assert_eq!(delete_all(&serving).await, 0);
    stored.assert_mortal();
}
