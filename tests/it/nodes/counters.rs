//! Counters of three nodes add up to what was done, whoever did it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::gateways::Nodes;
use crate::metrics::Told;
use crate::support::Client;
use crate::support::redis::eventually;

on_three_nodes! { counters_add_up_to_what_was_done }

/// Operations in all.
const OPERATIONS: usize = 10_000;
const WORKERS: usize = 16;
const LOGINS: usize = 40;

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

const REQUESTS: &str = "http_server_request_duration_seconds_count";

const REASONS: [&str; 8] = [
    "logout",
    "kicked_out",
    "replaced",
    "idle_timeout",
    "max_age",
    "banned",
    "token_reuse",
    "admin",
];

/// What one worker remembers of its sessions.
struct Worker {
    clients: Vec<Client>,
    random: fastrand::Rng,
    sessions: Vec<(String, String)>,
    sent: Arc<AtomicU64>,
}

impl Worker {
    async fn call(&mut self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let client = &self.clients[self.random.usize(..self.clients.len())];
        let mut call = client.call(method, path);
        if let Some(body) = body {
            call = call.json(&body);
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        let answer = call.await;
        let status = answer.status.as_u16();
        assert!(status < 500, "{path}: {}", answer.text());
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (status, body)
    }

    fn login(&mut self) -> String {
        format!("login-{}", self.random.usize(..LOGINS))
    }

    fn session(&mut self) -> (String, String) {
        let at = self.random.usize(..self.sessions.len());
        self.sessions[at].clone()
    }

    /// One random operation.
    async fn operate(&mut self) {
        let login = self.login();
        if self.sessions.is_empty() {
            return self.open(&login, json!({})).await;
        }
        let (id, token) = self.session();
        let session = format!("/v1/sessions/{id}");
        let (method, path, body) = match self.random.u8(..100) {
            0..30 => return self.open(&login, json!({})).await,
            30..40 => return self.open(&login, json!({"limit": {"max": 3}})).await,
            40..45 => return self.open(&login, json!({"idle_timeout_seconds": 1})).await,
            45..60 => (
                Method::POST,
                "/v1/tokens/verify".to_owned(),
                Some(json!({"token": token})),
            ),
            60..65 => (
                Method::POST,
                "/v1/tokens/rotate".to_owned(),
                Some(json!({"token": token})),
            ),
            65..75 => (
                Method::PATCH,
                format!("{session}/attributes"),
                Some(json!({"n": 1})),
            ),
            75..80 => (Method::POST, format!("{session}/heartbeat"), None),
            80..84 => (Method::GET, session, None),
            84..92 => (Method::DELETE, session, None),
            92..95 => (Method::DELETE, format!("/v1/logins/{login}/sessions"), None),
            95..97 => (
                Method::POST,
                format!("/v1/logins/{login}/kick-out"),
                Some(json!({"reason": "noise"})),
            ),
            97 => (
                Method::PUT,
                format!("/v1/logins/{login}/ban"),
                Some(json!({"reason": "noise"})),
            ),
            _ => (Method::DELETE, format!("/v1/logins/{login}/ban"), None),
        };
        self.call(method, &path, body).await;
    }

    async fn open(&mut self, login: &str, more: Value) {
        let mut wanted = more;
        wanted["login_id"] = json!(login);
        let (status, opened) = self.call(Method::POST, "/v1/sessions", Some(wanted)).await;
        if status == 201 {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let id = text(&opened["session"]["session_id"]);
            self.sessions.push((id, text(&opened["token"])));
        }
    }
}

/// What the feed tells: sessions that were opened, and those that ended by reason.
async fn story(client: &Client) -> (u64, BTreeMap<String, u64>) {
    let (mut opened, mut ended) = (0, BTreeMap::new());
    let mut after = String::new();
    loop {
        let path = format!("/v1/events?types=session.created,session.ended&limit=1000{after}");
        let page = client.get(path).await.value(200);
        for event in page["items"].as_array().unwrap() {
            match event["data"]["reason"].as_str() {
                None => opened += 1,
                Some(reason) => *ended.entry(reason.to_owned()).or_insert(0) += 1,
            }
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => after = format!("&after={cursor}"),
            None => return (opened, ended),
        }
    }
}

async fn told_by_all(nodes: &Nodes) -> Vec<Told> {
    let mut told = Vec::new();
    for client in nodes.admins() {
        told.push(Told::by(&client).await);
    }
    told
}

fn sum(told: &[Told], name: &str, parts: &[&str]) -> u64 {
    told.iter().map(|told| told.sum(name, parts)).sum()
}

/// Does random operations on all nodes; answers how many requests that took.
async fn operate(clients: &[Client]) -> u64 {
    let sent = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let mut worker = Worker {
            clients: clients.to_vec(),
            random: fastrand::Rng::with_seed(number as u64),
            sessions: Vec::new(),
            sent: Arc::clone(&sent),
        };
        workers.spawn(async move {
            for _ in 0..OPERATIONS / WORKERS {
                worker.operate().await;
            }
        });
    }
    workers.join_all().await;
    sent.load(Ordering::Relaxed)
}

async fn counters_add_up_to_what_was_done(nodes: &Nodes) {
    let before = told_by_all(nodes).await;
    let sent = operate(&nodes.admins()).await;
    // Those with a second to live are over then, and swept by whichever node comes first.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut sweeps = JoinSet::new();
    for node in nodes.stores() {
        sweeps.spawn(async move { while node.sessions.sweep().await.unwrap() {} });
    }
    sweeps.join_all().await;
    let (opened, ended) = story(&nodes.admin(1)).await;
    let told = told_by_all(nodes).await;
    assert_told(&told, opened, &ended);
    // The feed was read beside.
    let requests = |told: &[Told]| {
        let feed = "http_route=\"/v1/events\"";
        sum(told, REQUESTS, &["http_route=\"/v1/"]) - sum(told, REQUESTS, &[feed])
    };
    assert_eq!(requests(&told) - requests(&before), sent);
    let live = opened - ended.values().sum::<u64>();
    every_node_tells_how_many_live(nodes, live).await;
}

fn assert_told(told: &[Told], opened: u64, ended: &BTreeMap<String, u64>) {
    assert_eq!(sum(told, "session_created_total", &[]), opened);
    let happened = |reason: &str| ended.get(reason).copied().unwrap_or_default();
    for reason in REASONS {
        let label = format!("reason=\"{reason}\"");
        let counted = sum(told, "session_ended_total", &[&label]);
        assert_eq!(counted, happened(reason), "{reason}");
    }
    for reason in ["logout", "kicked_out", "replaced", "idle_timeout", "banned"] {
        assert!(happened(reason) > 0, "nothing ended by {reason}: {ended:?}");
    }
    let all: u64 = ended.values().sum();
    let by_age = happened("idle_timeout") + happened("max_age");
    assert_eq!(sum(told, "session_expired_total", &[]), by_age);
    assert_eq!(sum(told, "session_deleted_total", &[]), all - by_age);
    assert_eq!(sum(told, "session_duration_seconds_count", &[]), all);
    let each = told
        .iter()
        .map(|told| told.sum("session_created_total", &[]));
    assert!(each.into_iter().all(|counted| counted > 0));
}

/// Every node tells the same, and it is what the store says.
async fn every_node_tells_how_many_live(nodes: &Nodes, live: u64) {
    let total = nodes.admin(0).get("/v1/sessions?total=true").await;
    assert_eq!(total.value(200)["total"].as_u64(), Some(live));
    for client in nodes.admins() {
        eventually(DEADLINE, || async {
            let told = Told::by(&client).await;
            told.number("session_total") == Some(live)
                && told.number("session_active") == Some(live)
                && told.number("session_idle") == Some(0)
        })
        .await;
    }
}
