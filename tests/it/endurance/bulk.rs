//! A bulk deletion that is broken off twice, by its client and by `kill -9`, ends each session once in the end; others
//! are served meanwhile.
//!
//! `SGW_TEST_ENDED` sets how many sessions that is; 5,000 if it is not set. How long others wait is measured and told.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::others::{BYSTANDERS, Others};
use super::size::fill;
use super::stored::Stored;
use crate::support::redis::eventually;
use crate::support::{Call, Gateway, feed, persistently, size};

/// Longer than any part of the deletion takes.
const PHASE: Duration = Duration::from_secs(600);
/// How long others are measured in peace.
const PEACE: Duration = Duration::from_secs(3);

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
    let others = Others::start(serving.admin()).await;
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
    let (all, bystanders) = others.end().await;
    eprintln!(
        "{sessions} sessions in {:?}, {left} of them after the kill, {} by the last calls\n\
         before: {}\nmeanwhile: {}",
        ended - began,
        last,
        all.between(peace, began),
        all.between(began, ended),
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
