//! Counters of three nodes on one Redis add up to what was done, whoever did it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Told;
use crate::support::redis::{RedisServer, eventually};
use crate::support::{Client, Gateway, Launch, persistently};

/// Operations in all.
const OPERATIONS: usize = 10_000;
const WORKERS: usize = 16;
const LOGINS: usize = 40;

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// A run in which an operation failed proves nothing: what became of it, nobody knows.
const ATTEMPTS: usize = 3;

const REQUESTS: &str = "http_server_request_duration_seconds_count";

/// Operations that this test needs beside, which change nothing.
const READING: [&str; 5] = [
    "operation=\"events\"",
    "operation=\"count\"",
    "operation=\"census\"",
    "operation=\"check\"",
    "operation=\"find_service\"",
];

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
        assert!(status < 500 || status == 503, "{path}: {}", answer.text());
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
        let page = persistently(|| client.get(&path)).await.value(200);
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

async fn told_by_all(gateways: &[Gateway]) -> Vec<Told> {
    let mut told = Vec::new();
    for gateway in gateways {
        told.push(Told::by(&gateway.nobody()).await);
    }
    told
}

fn sum(told: &[Told], name: &str, parts: &[&str]) -> u64 {
    told.iter().map(|told| told.sum(name, parts)).sum()
}

/// Operations that may open or end a session and whose outcome nobody knows, as on a machine that is too busy for the
/// deadlines of the store.
fn unknown(told: &[Told]) -> u64 {
    let timed = "sgw_store_operation_duration_seconds_count";
    let outcomes = ["outcome=\"failed\"", "outcome=\"abandoned\""];
    let of = |outcome: &str, reading: &[&str]| {
        let all = sum(told, timed, &[outcome]);
        let read = reading
            .iter()
            .map(|operation| sum(told, timed, &[outcome, operation]));
        all - read.sum::<u64>()
    };
    outcomes.iter().map(|outcome| of(outcome, &READING)).sum()
}

async fn three_gateways(redis: &RedisServer) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..3 {
        let launch = Launch::new()
            .unset("SGW_STORE")
            .set("SGW_STORE", &redis.url())
            .set("SGW_SWEEP_INTERVAL", "500ms");
        gateways.push(launch.start().await);
    }
    gateways
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

#[tokio::test(flavor = "multi_thread")]
async fn counters_of_three_nodes_add_up_to_what_was_done() {
    for _attempt in 0..ATTEMPTS {
        let redis = RedisServer::start().await;
        let gateways = three_gateways(&redis).await;
        let clients: Vec<_> = gateways.iter().map(Gateway::admin).collect();
        let before = told_by_all(&gateways).await;
        let sent = operate(&clients).await;
        // Those with a second to live are over then, and swept by whichever node comes first.
        eventually(DEADLINE, || async {
            let (_, ended) = story(&clients[0]).await;
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            ended == story(&clients[0]).await.1
        })
        .await;
        let (opened, ended) = story(&clients[1]).await;
        let told = told_by_all(&gateways).await;
        if unknown(&told) > 0 {
            continue;
        }
        assert_told(&told, opened, &ended);
        // The feed was read beside.
        let requests = |told: &[Told]| {
            let feed = "http_route=\"/v1/events\"";
            sum(told, REQUESTS, &["http_route=\"/v1/"]) - sum(told, REQUESTS, &[feed])
        };
        assert_eq!(requests(&told) - requests(&before), sent);
        let live = opened - ended.values().sum::<u64>();
        return every_node_tells_how_many_live(&gateways, live).await;
    }
    panic!("operations failed in each of {ATTEMPTS} attempts");
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
async fn every_node_tells_how_many_live(gateways: &[Gateway], live: u64) {
    let total = gateways[0].admin().get("/v1/sessions?total=true").await;
    assert_eq!(total.value(200)["total"].as_u64(), Some(live));
    for gateway in gateways {
        let client = gateway.nobody();
        eventually(DEADLINE, || async {
            let told = Told::by(&client).await;
            told.number("session_total") == Some(live)
                && told.number("session_active") == Some(live)
                && told.number("session_idle") == Some(0)
        })
        .await;
    }
}
