//! A client that does anything to anything, at random.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::fleet::Clients;
use super::stored::DEADLINE;
use crate::support::{Answer, Call, Client, Opened};

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
pub(super) struct Told {
    pub(super) answered: usize,
    pub(super) good: usize,
    pub(super) ended: Vec<String>,
}

pub(super) struct Worker {
    rng: Rng,
    clients: Clients,
    sessions: Vec<Opened>,
    told: Told,
}

impl Worker {
    pub(super) fn new(seed: u64, clients: Clients) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            clients,
            sessions: Vec::new(),
            told: Told::default(),
        }
    }

    pub(super) async fn run(mut self, left: Arc<AtomicUsize>) -> Told {
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

    fn client(&mut self) -> Client {
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
                let token = format!("a-token-that-somebody-brings-along-{}", self.rng.u16(..));
                new["token"] = json!(token);
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
