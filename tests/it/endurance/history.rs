//! Random operations on several gateways while gateways, connections and Redis are killed: what is left is in order.
//!
//! `SGW_TEST_OPERATIONS` sets how many there are on one server; a cluster gets a quarter of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::fleet::{Clients, Fleet};
use super::size;
use super::stored::{DEADLINE, Stored};
use crate::support::redis::{FaultProxy, Mode};
use crate::support::{Answer, Call, Opened, persistently};

/// Clients that call at the same time.
const WORKERS: usize = 24;
/// Few, so that they meet.
const LOGINS: usize = 40;
/// After an answer that nothing can be known now; else most operations would be spent on what is down.
const PAUSE: Duration = Duration::from_millis(20);
/// What a worker remembers of what it opened.
const REMEMBERED: usize = 40;
/// All that an operation may be answered by while things break.
const ANSWERS: [u16; 9] = [200, 201, 204, 404, 409, 410, 412, 422, 503];

/// What is known for sure when all is over.
#[derive(Debug, Default)]
struct Told {
    answered: usize,
    good: usize,
    ended: Vec<String>,
}

struct Worker {
    rng: Rng,
    clients: Clients,
    sessions: Vec<Opened>,
    told: Told,
}

impl Worker {
    async fn run(mut self, left: Arc<AtomicUsize>) -> Told {
        let take = |left: usize| left.checked_sub(1);
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
        {
            match self.rng.u8(0..20) {
                0..5 => self.open().await,
                5..7 => self.end().await,
                _ => {
                    let call = self.any_call();
                    self.send(call).await;
                }
            }
        }
        self.told
    }

    fn client(&mut self) -> crate::support::Client {
        self.clients.get(self.rng.usize(..))
    }

    fn login(&mut self) -> String {
        format!("login-{}", self.rng.usize(..LOGINS))
    }

    async fn send(&mut self, call: Call) -> Option<Answer> {
        let attempt = tokio::time::timeout(DEADLINE, call.attempt());
        let answer = attempt.await.expect("an answer or a broken connection");
        if answer.as_ref().is_none_or(|answer| answer.status == 503) {
            tokio::time::sleep(PAUSE).await;
        }
        let answer = answer?;
        let status = answer.status.as_u16();
        assert!(ANSWERS.contains(&status), "{status}: {}", answer.text());
        self.told.answered += 1;
        self.told.good += usize::from(status < 300);
        Some(answer)
    }

    fn new_session(&mut self) -> Value {
        let mut new = json!({
            "login_id": self.login(),
            "attributes": {"n": 0, "text": "x".repeat(self.rng.usize(..80))},
            "idle_timeout_seconds": self.rng.choice([1, 2, 60, 1_800]),
            "max_age_seconds": self.rng.choice([2, 60, 86_400]),
        });
        if self.rng.bool() {
            new["device"] = json!(self.rng.choice(["web", "ios"]));
        }
        match self.rng.u8(0..6) {
            0 => {
                new["token"] = json!(format!(
                    "a-token-that-somebody-brings-along-{}",
                    self.rng.u16(..)
                ))
            }
            1 => {
                let overflow = ["evict_oldest", "evict_least_active", "refuse"];
                let per = self.rng.choice(["login", "device"]);
                let overflow = self.rng.choice(overflow);
                let max = self.rng.u8(1..9);
                new["limit"] = json!({"max": max, "per": per, "overflow": overflow});
            }
            _ => {}
        }
        new
    }

    /// Every third time twice over, at two gateways, under one key.
    async fn open(&mut self) {
        let new = self.new_session();
        let key = format!("key-{}", self.rng.u64(..));
        let mut ids = Vec::new();
        for _ in 0..self.rng.choice([1, 1, 2]).unwrap() {
            let call = self.client().post("/v1/sessions");
            let call = call.header("Idempotency-Key", &key).json(&new);
            let Some(answer) = self.send(call).await else {
                continue;
            };
            if answer.status == 201 {
                ids.push(self.remember(&answer.json()));
            }
        }
        assert!(ids.windows(2).all(|two| two[0] == two[1]), "{ids:?}");
    }

    fn remember(&mut self, created: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let opened = Opened {
            id: text(&created["session"]["session_id"]),
            token: text(&created["token"]),
        };
        let id = opened.id.clone();
        if self.sessions.len() < REMEMBERED {
            self.sessions.push(opened);
        } else {
            let forgotten = self.rng.usize(..REMEMBERED);
            self.sessions[forgotten] = opened;
        }
        id
    }

    fn some_session(&mut self) -> Opened {
        let unknown = Opened {
            id: "01a1fe40-5a72-73e3-88b1-047b343d4e24".to_owned(),
            token: "nobody-has-ever-seen-this-token-anywhere".to_owned(),
        };
        self.rng.choice(&self.sessions).cloned().unwrap_or(unknown)
    }

    /// One session or, now and then, all of a login.
    async fn end(&mut self) {
        if self.rng.u8(0..8) == 0 {
            let login = self.login();
            let call = self.client().delete(format!("/v1/logins/{login}/sessions"));
            if let Some(answer) = self.send(call).await
                && answer.status == 200
            {
                let ids = answer.json()["session_ids"].as_array().unwrap().clone();
                let ids = ids.iter().map(|id| id.as_str().unwrap().to_owned());
                self.told.ended.extend(ids);
            }
            return;
        }
        let session = self.some_session();
        let call = self.client().delete(session.path());
        if let Some(answer) = self.send(call).await
            && answer.status == 204
        {
            self.told.ended.push(session.id);
        }
    }

    fn any_call(&mut self) -> Call {
        let (client, session) = (self.client(), self.some_session());
        let number = self.rng.u8(..12);
        let name = session.at(&format!("/attributes/a{number}"));
        match self.rng.u8(0..14) {
            0 => {
                let patch = json!({"n": number, format!("a{number}"): {"deep": {"er": number}}});
                client.patch(session.at("/attributes")).json(&patch)
            }
            1 => client.put(name).json(&json!({"number": number})),
            2 => client.delete(name),
            3 => {
                let counter = session.at(&format!("/attributes/c{number}/increment"));
                client.post(counter).json(&json!({"by": number}))
            }
            4 => {
                let stale = client.patch(session.at("/attributes"));
                stale.header("If-Match", "\"1\"").json(&json!({"n": null}))
            }
            5 => client.patch(session.path()).json(&json!({"device": "web"})),
            6 => client.post(session.at("/refresh")).json(&json!({})),
            7 => client.post(session.at("/heartbeat")).json(&json!({})),
            8 => client.get(session.path()),
            9 => client.get(format!("/v1/logins/{}/sessions", self.login())),
            10 => self.service_call(),
            _ => client
                .post("/v1/tokens/verify")
                .json(&json!({"token": session.token})),
        }
    }

    fn service_call(&mut self) -> Call {
        let client = self.client();
        let service_id = format!("service-{}", self.rng.u8(..6));
        let path = format!("/v1/services/{service_id}");
        match self.rng.u8(0..6) {
            0 => client.delete(path),
            1 => client
                .post(format!("{path}/rotate-secret"))
                .json(&json!({"grace_seconds": 1})),
            2 => client.patch(path).json(&json!({"enabled": self.rng.bool()})),
            3 => client.get("/v1/events?limit=50"),
            _ => client.post("/v1/services").json(
                &json!({"service_id": service_id, "service_name": "s", "permissions": ["session.*"]}),
            ),
        }
    }
}

/// Runs all operations and, as long as they last, `breaks` again and again.
async fn live_through(
    mut stored: Stored,
    operations: usize,
    mut breaks: impl AsyncFnMut(&mut Stored, &mut Rng),
) {
    let mut fleet = Fleet::start(stored.launch(), 3).await;
    let left = Arc::new(AtomicUsize::new(operations));
    let mut workers = JoinSet::new();
    for seed in 0..WORKERS {
        let worker = Worker {
            rng: Rng::with_seed(seed as u64),
            clients: fleet.clients(),
            sessions: Vec::new(),
            told: Told::default(),
        };
        workers.spawn(worker.run(Arc::clone(&left)));
    }
    let told = tokio::spawn(workers.join_all());
    let mut rng = Rng::with_seed(42);
    let mut broken = 0;
    while !told.is_finished() {
        tokio::time::sleep(Duration::from_millis(rng.u64(200..900))).await;
        if rng.bool() {
            fleet.kill_and_restart(rng.usize(..fleet.len())).await;
        } else {
            breaks(&mut stored, &mut rng).await;
        }
        broken += 1;
    }
    stored.well().await;
    assert_in_order(&stored, fleet, &told.await.unwrap(), operations, broken).await;
}

async fn assert_in_order(
    stored: &Stored,
    fleet: Fleet,
    told: &[Told],
    operations: usize,
    broken: usize,
) {
    let sum = |part: fn(&Told) -> usize| -> usize { told.iter().map(part).sum() };
    let (answered, good) = (sum(|told| told.answered), sum(|told| told.good));
    eprintln!("{operations} operations: {answered} answers, {good} done; broken {broken} times");
    assert!(good > operations / 5, "{good} of {operations} were done");
    assert!(broken >= 3, "nothing was broken");
    let client = fleet.clients().get(0);
    for id in told.iter().flat_map(|told| &told.ended) {
        let answer = persistently(|| client.get(format!("/v1/sessions/{id}"))).await;
        let status = answer.status.as_u16();
        assert!([404, 410].contains(&status), "{status}: {}", answer.text());
    }
    drop(fleet);
    stored.audit();
}

fn operations() -> usize {
    size("SGW_TEST_OPERATIONS", 8_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_all_that_is_stored_is_in_order_and_has_its_time() {
    let stored = Stored::on_one_server().await;
    let proxy = FaultProxy::before(stored.servers[0].port).await;
    let stored = stored.behind(&proxy);
    live_through(stored, operations(), async |stored, rng| {
        match rng.u8(0..3) {
            0 => proxy.cut_all(),
            1 => {
                proxy.set(Mode::HalfOpen);
                tokio::time::sleep(Duration::from_millis(150)).await;
                proxy.set(Mode::Pass);
            }
            _ => {
                stored.servers[0].kill();
                stored.servers[0].run().await;
                stored.well().await;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_too() {
    let stored = Stored::on_a_cluster().await;
    live_through(stored, operations() / 4, async |stored, rng| {
        let server = rng.choice(&stored.servers).unwrap();
        if rng.bool() {
            server.ask::<u64>("CLIENT KILL TYPE normal").await;
        } else {
            // Only a replica can take over; a master says no.
            server.try_ask::<String>("CLUSTER FAILOVER").await.ok();
        }
    })
    .await;
}
