//! An end on one node is the end on all: nothing revives it, nothing slips through it, it is told of once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::gateways::{Nodes, verify};
use crate::support::redis::eventually;
use crate::support::{Client, Opened, open};

on_three_nodes! {
    nothing_revives_a_session_while_it_ends,
    nothing_that_was_opened_before_the_end_of_all_survives_it,
    each_end_is_told_of_once_whoever_comes_to_it,
}

on_three_nodes!(busy_cluster = shared::cluster(); a_logout_on_one_node_is_refused_by_all_at_once);

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long the sessions live that everybody comes to.
const LIFE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

async fn a_logout_on_one_node_is_refused_by_all_at_once(nodes: &Nodes) {
    const WORKERS: usize = 10;
    const ROUNDS: usize = 100;
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let clients = nodes.admins();
        workers.spawn(async move {
            for round in 0..ROUNDS {
                let (here, there) = (&clients[round % 3], &clients[(round + worker) % 3]);
                let session = open(here, json!({"login_id": format!("u{worker}")})).await;
                assert_eq!(verify(here, &session.token).await["active"], true);
                there.delete(session.path()).await.expect(204);
                for answer in [0, 1, 2].map(|node| verify(&clients[node], &session.token)) {
                    assert_eq!(answer.await["reason"], "logout");
                }
            }
        });
    }
    workers.join_all().await;
}

async fn nothing_revives_a_session_while_it_ends(nodes: &Nodes) {
    for round in 0..200 {
        let session = open(&nodes.admin(round), json!({"login_id": "u"})).await;
        let client = |turn| nodes.admin(round + turn);
        let write = client(0).patch(session.at("/attributes"));
        let (write, refresh, heartbeat, verified, ended) = tokio::join!(
            write.json(&json!({"late": true})).into_future(),
            client(1).post(session.at("/refresh")).into_future(),
            client(2).post(session.at("/heartbeat")).into_future(),
            async { verify(&client(0), &session.token).await },
            client(1).delete(session.path()).into_future(),
        );
        ended.expect(204);
        for answer in [write, refresh, heartbeat] {
            if answer.status != 200 {
                answer.problem(410, "session_ended");
            }
        }
        if verified["active"] == false {
            assert_eq!(verified["reason"], "logout");
        }
        stays_ended(nodes, &session).await;
    }
    let summary = nodes.admin(0).get("/v1/logins/u").await.value(200);
    assert_eq!(summary["session_count"], 0);
}

async fn stays_ended(nodes: &Nodes, session: &Opened) {
    for client in nodes.admins() {
        let late = client.patch(session.at("/attributes"));
        let late = late.json(&json!({"late": true})).await;
        let read = client.get(session.path()).await;
        for refused in [late, read] {
            let problem = refused.problem(410, "session_ended");
            assert_eq!(problem["ended"]["reason"], "logout");
        }
        assert_eq!(verify(&client, &session.token).await["reason"], "logout");
    }
}

/// Ends all sessions, however many answers that takes.
async fn end_all(client: &Client, path: &str) {
    let mut cursor = String::new();
    loop {
        let ended = client.delete(format!("{path}{cursor}")).await.value(200);
        match ended["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return,
        }
    }
}

async fn nothing_that_was_opened_before_the_end_of_all_survives_it(nodes: &Nodes) {
    let opened: Arc<Mutex<Vec<String>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let mut openers = JoinSet::new();
    for turn in 0..9 {
        let (client, opened, stop) = (nodes.admin(turn), Arc::clone(&opened), Arc::clone(&stop));
        openers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let session = open(&client, json!({"login_id": "u"})).await;
                opened.lock().await.push(session.id);
            }
        });
    }
    for round in 1..=5 {
        eventually(DEADLINE, || async {
            opened.lock().await.len() >= round * 150
        })
        .await;
        let before = opened.lock().await.clone();
        let client = nodes.admin(round);
        end_all(&client, "/v1/logins/u/sessions?reason=admin").await;
        for id in before.iter().rev().take(150) {
            let read = nodes.admin(round + 1).get(format!("/v1/sessions/{id}"));
            let problem = read.await.problem(410, "session_ended");
            assert_eq!(problem["ended"]["reason"], "admin");
        }
    }
    stop.store(true, Ordering::SeqCst);
    openers.join_all().await;
    end_all(&nodes.admin(0), "/v1/logins/u/sessions?reason=logout").await;
    let ended = nodes.events("session.ended").await;
    assert_eq!(ended.len(), opened.lock().await.len());
}

/// About the time when they expire, sessions are ended one by one and by login, swept, and read, on all nodes at once.
async fn each_end_is_told_of_once_whoever_comes_to_it(nodes: &Nodes) {
    const LOGINS: usize = 30;
    const EACH: usize = 10;
    let sessions = open_short(nodes, LOGINS, EACH).await;
    let mut work = JoinSet::new();
    for stores in nodes.stores() {
        work.spawn(async move {
            while stores.sessions.count(None).await.unwrap() > 0 {
                stores.sessions.sweep().await.unwrap();
            }
            while stores.sessions.sweep().await.unwrap() {}
        });
    }
    for (number, (login, session)) in sessions.iter().enumerate() {
        for client in nodes.admins() {
            work.spawn(meet(client, login.clone(), session.clone(), number));
        }
    }
    tokio::time::timeout(DEADLINE, work.join_all())
        .await
        .expect("all sessions are over");
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in nodes.events("session.ended").await {
        let id = event["session_id"].as_str().unwrap().to_owned();
        told.entry(id)
            .or_default()
            .push(event["data"]["reason"].clone());
    }
    assert_eq!(told.len(), sessions.len());
    for (_, session) in &sessions {
        let reasons = &told[&session.id];
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        let read = nodes.admin(0).get(session.path()).await;
        let problem = read.problem(410, "session_ended");
        assert_eq!(problem["ended"]["reason"], reasons[0]);
    }
}

async fn open_short(nodes: &Nodes, logins: usize, each: usize) -> Vec<(String, Opened)> {
    let mut opens = JoinSet::new();
    for number in 0..logins * each {
        let client = nodes.admin(number);
        let login = format!("u{}", number % logins);
        opens.spawn(async move {
            let request = json!({"login_id": login, "max_age_seconds": LIFE.as_secs()});
            let session = open(&client, request).await;
            (login, session)
        });
    }
    opens.join_all().await
}

/// Comes to a session until it is over: with its own end, early or late, the end of its login, a verification, or
/// only reads beside the sweeps.
async fn meet(client: Client, login: String, session: Opened, number: usize) {
    let start = Instant::now();
    loop {
        let read = client.get(session.path()).await;
        if read.status == 410 {
            return;
        }
        assert_eq!(read.value(200)["login_id"], login);
        let late = start.elapsed() > LIFE - 3 * PAUSE;
        match number % 5 {
            0 => {
                client.delete(session.path()).await.expect(204);
            }
            1 if late => {
                client.delete(session.path()).await.expect(204);
            }
            2 if late => {
                let path = format!("/v1/logins/{login}/sessions");
                client.delete(path).await.expect(200);
            }
            3 => {
                verify(&client, &session.token).await;
            }
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}
