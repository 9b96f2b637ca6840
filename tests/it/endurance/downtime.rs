//! Sessions that expire while no gateway runs, or while the one that sweeps is killed, end exactly once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::stored::{DEADLINE, Stored};
use crate::support::redis::eventually;
use crate::support::{Client, Gateway, Launch, persistently};

/// How and when each session has to end.
type Ends = HashMap<String, (String, String)>;

fn sweeping(stored: &Stored, interval: &str) -> Launch {
    stored.launch().set("SGW_SWEEP_INTERVAL", interval)
}

/// Opens sessions that go after two seconds, every other one by age, at a gateway that does not sweep and is killed.
/// Returns when all are over.
async fn expired(stored: &Stored, count: usize) -> Ends {
    let gateway = sweeping(stored, "1h").start().await;
    let client = gateway.admin();
    let ends: Ends = stream::iter(0..count)
        .map(|n| open(&client, n))
        .buffer_unordered(32)
        .collect()
        .await;
    drop(gateway);
    eventually(DEADLINE, || async { stored.expired() == stored.filed() }).await;
    ends
}

async fn open(client: &Client, n: usize) -> (String, (String, String)) {
    let (reason, idle_timeout, max_age) = [("idle_timeout", 2, 60), ("max_age", 60, 2)][n % 2];
    let new = json!({
        "login_id": format!("login-{}", n % 300),
        "idle_timeout_seconds": idle_timeout,
        "max_age_seconds": max_age,
    });
    let created = persistently(|| client.post("/v1/sessions").json(&new)).await;
    let created = created.value(201);
    let text = |name: &str| created["session"][name].as_str().unwrap().to_owned();
    (text("session_id"), (reason.to_owned(), text("expires_at")))
}

async fn ended_events(client: &Client) -> Vec<Value> {
    let mut events = Vec::new();
    let mut path = "/v1/events?limit=1000&types=session.ended".to_owned();
    loop {
        let page = persistently(|| client.get(&path)).await.value(200);
        events.extend_from_slice(page["items"].as_array().unwrap());
        let Some(next) = page["next_cursor"].as_str() else {
            return events;
        };
        path = format!("/v1/events?limit=1000&types=session.ended&after={next}");
    }
}

/// Waits until all have ended, and fails unless each did once, for its reason and at its moment. There may be sessions
/// that nobody was told of, as their gateway did not answer in time.
async fn assert_ended_once(client: &Client, ends: &Ends) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let events = ended_events(client).await;
        let told: Ends = events.iter().map(end).collect();
        assert_eq!(told.len(), events.len(), "some ended twice");
        let missing = ends.keys().filter(|id| !told.contains_key(*id)).count();
        if missing == 0 {
            let wrong = ends.iter().find(|(id, end)| told[*id] != **end);
            assert_eq!(wrong, None, "another end is told of");
            return;
        }
        assert!(Instant::now() < deadline, "{missing} have not ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn end(event: &Value) -> (String, (String, String)) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let end = (text(&event["data"]["reason"]), text(&event["at"]));
    (text(&event["session_id"]), end)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_while_no_gateway_runs_ends_once_however_many_sweep_then() {
    let stored = Stored::on_one_server().await;
    let ends = expired(&stored, 1_000).await;
    let launch = || sweeping(&stored, "100ms").start();
    let gateways: [Gateway; 3] = tokio::join!(launch(), launch(), launch()).into();
    for gateway in &gateways {
        assert_ended_once(&gateway.admin(), &ends).await;
    }
    drop(gateways);
    stored.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_gateway_had_not_swept_yet_others_sweep() {
    let stored = Stored::on_one_server().await;
    let ends = expired(&stored, 2_000).await;
    let before = stored.filed();
    let first = sweeping(&stored, "100ms").start().await;
    eventually(DEADLINE, || async { stored.filed() < before }).await;
    drop(first);
    assert!(stored.filed() > 0, "it was killed too late");
    let launch = || sweeping(&stored, "100ms").start();
    let (second, third) = tokio::join!(launch(), launch());
    assert_ended_once(&second.admin(), &ends).await;
    drop((second, third));
    stored.audit();
}
