//! Writes of one session on all nodes at once: none is lost, none is counted twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::gateways::Nodes;
use crate::support::{Client, Opened, open};

on_three_nodes! {
    what_one_node_writes_every_node_reads,
    two_hundred_attributes_written_at_once_are_all_there,
    increments_are_exact,
}

on_three_nodes!(busy_cluster = shared::cluster(); compare_and_set_counts_every_increment);

async fn what_one_node_writes_every_node_reads(nodes: &Nodes) {
    let session = open(
        &nodes.admin(0),
        json!({"login_id": "u", "attributes": {"n": 0}}),
    )
    .await;
    let put = nodes.admin(1).put(session.at("/attributes/color"));
    put.json(&json!("red")).await.expect(201);
    for client in nodes.admins() {
        let read = client.get(session.path()).await.value(200);
        assert_eq!(read["attributes"], json!({"n": 0, "color": "red"}));
    }
}

async fn two_hundred_attributes_written_at_once_are_all_there(nodes: &Nodes) {
    const WRITERS: usize = 200;
    let session = open(&nodes.admin(0), json!({"login_id": "u"})).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut refreshers = JoinSet::new();
    for client in nodes.admins() {
        let (session, done) = (session.clone(), Arc::clone(&done));
        refreshers.spawn(async move {
            while !done.load(Ordering::SeqCst) {
                let refresh = client.post(session.at("/refresh")).json(&json!({}));
                refresh.await.expect(200);
            }
        });
    }
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let (client, session) = (nodes.admin(number), session.clone());
        writers.spawn(async move {
            let patch = client.patch(session.at("/attributes"));
            let name = format!("attribute {number}");
            patch.json(&json!({name: number})).await.expect(200);
        });
    }
    writers.join_all().await;
    done.store(true, Ordering::SeqCst);
    refreshers.join_all().await;
    let all = nodes.admin(0).get(session.at("/attributes")).await;
    let all = all.value(200);
    let wanted: serde_json::Map<_, _> = (0..WRITERS)
        .map(|number| (format!("attribute {number}"), json!(number)))
        .collect();
    assert_eq!(all["attributes"], Value::Object(wanted));
    assert_eq!(all["version"], WRITERS + 1);
}

async fn compare_and_set_counts_every_increment(nodes: &Nodes) {
    const CLIENTS: usize = 50;
    const EACH: usize = 20;
    let session = open(
        &nodes.admin(0),
        json!({"login_id": "u", "attributes": {"n": 0}}),
    )
    .await;
    let conflicts = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for turn in 0..CLIENTS {
        let (client, session) = (nodes.admin(turn), session.clone());
        let conflicts = Arc::clone(&conflicts);
        clients.spawn(async move {
            for _ in 0..EACH {
                while !try_to_count(&client, &session).await {
                    conflicts.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    clients.join_all().await;
    let all = nodes.admin(1).get(session.at("/attributes")).await;
    let all = all.value(200);
    assert_eq!(all["attributes"]["n"], CLIENTS * EACH);
    assert_eq!(all["version"], CLIENTS * EACH + 1);
    assert!(conflicts.load(Ordering::SeqCst) > 0, "nobody was too late");
}

/// Whether nobody wrote between the read and the write.
async fn try_to_count(client: &Client, session: &Opened) -> bool {
    let read = client.get(session.path()).await.expect(200);
    let next = read.json()["attributes"]["n"].as_u64().unwrap() + 1;
    let patch = client.patch(session.at("/attributes"));
    let patch = patch.header("If-Match", read.header("etag"));
    let answer = patch.json(&json!({"n": next})).await;
    if answer.status == 412 {
        answer.problem(412, "version_conflict");
        return false;
    }
    assert_eq!(answer.value(200)["attributes"]["n"], next);
    true
}

async fn increments_are_exact(nodes: &Nodes) {
    const INCREMENTS: u64 = 300;
    let session = open(&nodes.admin(0), json!({"login_id": "u"})).await;
    let mut increments = JoinSet::new();
    for turn in 0..usize::try_from(INCREMENTS).unwrap() {
        let increment = nodes
            .admin(turn)
            .post(session.at("/attributes/n/increment"));
        increments.spawn(async move {
            let answer = increment.json(&json!({"by": 1})).await.value(200);
            answer["value"].as_u64().unwrap()
        });
    }
    let mut told = increments.join_all().await;
    told.sort_unstable();
    assert_eq!(told, (1..=INCREMENTS).collect::<Vec<_>>());
    let kept = nodes.admin(2).get(session.at("/attributes/n")).await;
    assert_eq!(kept.value(200), INCREMENTS);
}
