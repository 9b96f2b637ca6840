//! Gateways are replaced one after the other under load, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;

use super::fleet::{Clients, Fleet};
use super::stored::{DEADLINE, Stored};
use crate::support::redis::eventually;
use crate::support::{Answer, Call, Client};

const CALLERS: usize = 16;

/// Calls one gateway until it is gone, then the next one; what broke, or was not known in time, is sent again under
/// the same key.
struct Caller {
    name: usize,
    clients: Clients,
    at: usize,
    sent: Arc<AtomicUsize>,
    repeated: Arc<AtomicUsize>,
}

impl Caller {
    async fn send(&mut self, status: u16, request: impl Fn(&Client) -> Call) -> Answer {
        let key = format!("request-{}", self.sent.fetch_add(1, Ordering::Relaxed));
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let call = request(&self.clients.get(self.at));
            let call = call.header("Idempotency-Key", &key);
            if let Some(answer) = call.attempt().await
                && answer.status != 503
            {
                return answer.expect(status);
            }
            self.repeated.fetch_add(1, Ordering::Relaxed);
            self.at += 1;
        }
        panic!("no gateway answers");
    }

    /// Opens sessions, uses each, and ends every other one. Returns those that live.
    async fn run(mut self, over: Arc<AtomicBool>) -> Vec<String> {
        let mut living = Vec::new();
        for round in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let path = self.use_one().await;
            if round % 2 == 0 {
                self.send(204, |client| client.delete(&path)).await;
            } else {
                living.push(path);
            }
        }
        living
    }

    async fn use_one(&mut self) -> String {
        let new = json!({"login_id": format!("caller-{}", self.name)});
        let opened = self.send(201, |client| client.post("/v1/sessions").json(&new));
        let opened = opened.await.json();
        let path = format!(
            "/v1/sessions/{}",
            opened["session"]["session_id"].as_str().unwrap()
        );
        let increment = format!("{path}/attributes/n/increment");
        let by = json!({"by": 1});
        let added = self.send(200, |client| client.post(&increment).json(&by));
        assert_eq!(added.await.json()["value"], 1, "it was added twice");
        let token = json!({"token": opened["token"]});
        let verified = self.send(200, |client| client.post("/v1/tokens/verify").json(&token));
        assert_eq!(verified.await.json()["active"], true);
        path
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_request_and_loses_no_session() {
    let stored = Stored::on_one_server().await;
    let mut fleet = Fleet::start(stored.launch(), 3).await;
    let over = Arc::new(AtomicBool::new(false));
    let (sent, repeated) = (Arc::default(), Arc::default());
    let mut callers = JoinSet::new();
    for name in 0..CALLERS {
        let caller = Caller {
            name,
            clients: fleet.clients(),
            at: name,
            sent: Arc::clone(&sent),
            repeated: Arc::clone(&repeated),
        };
        callers.spawn(caller.run(Arc::clone(&over)));
    }
    for which in 0..fleet.len() {
        let before = sent.load(Ordering::Relaxed);
        eventually(DEADLINE, || async {
            sent.load(Ordering::Relaxed) > before + 300
        })
        .await;
        fleet.replace(which).await;
    }
    over.store(true, Ordering::Relaxed);
    let living: Vec<String> = callers.join_all().await.into_iter().flatten().collect();
    eprintln!("{sent:?} requests, {repeated:?} sent again at another gateway");
    let client = fleet.clients().get(0);
    for path in &living {
        assert_eq!(client.get(path).await.value(200)["attributes"]["n"], 1);
    }
    drop(fleet);
    stored.audit();
}
