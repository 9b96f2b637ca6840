//! The real program, several times: a node that is killed forgets nothing, and a Redis that freezes is unknown to all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::store::redis::{Keyspace, shared};
use crate::support::redis::eventually;
use crate::support::{Answer, Call, Client, Gateway, assert_throttled, fail_until_throttled};

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// The answer, as soon as there is one: on a busy machine Redis may be slower than the program waits for.
async fn known(call: impl Fn() -> Call) -> Answer {
    let start = Instant::now();
    loop {
        let answer = call().await;
        if answer.status != 503 {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Opens a session; asks again with the same key if the answer is not known.
async fn open_once(client: &Client, login: &str, key: &str) -> Value {
    let request = json!({"login_id": login});
    let open = || client.post("/v1/sessions").header("Idempotency-Key", key);
    known(|| open().json(&request)).await.value(201)
}

fn verify(client: &Client, session: &Value) -> Call {
    let request = client.post("/v1/tokens/verify");
    request.json(&json!({"token": session["token"]}))
}

fn end(client: &Client, session: &Value) -> Call {
    let id = session["session"]["session_id"].as_str().unwrap();
    client.delete(format!("/v1/sessions/{id}"))
}

async fn assert_logged_out(client: &Client, session: &Value) {
    let verified = known(|| verify(client, session)).await.value(200);
    assert_eq!(verified["reason"], "logout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_forgets_neither_ends_nor_answers() {
    let redis = Keyspace::on(shared::cluster().await);
    let killed = redis.launch().start().await;
    let other = redis.launch().start().await;
    let session = open_once(&killed.admin(), "u", "ended").await;
    known(|| end(&killed.admin(), &session)).await.expect(204);
    let answer = open_once(&killed.admin(), "v", "kept").await;
    let again = killed.kill_and_restart().await;
    for client in [other.admin(), again.admin()] {
        assert_logged_out(&client, &session).await;
        assert_eq!(open_once(&client, "v", "kept").await, answer);
        let summary = known(|| client.get("/v1/logins/v")).await.value(200);
        assert_eq!(summary["session_count"], 1);
    }
    drop((other, again));
    redis.close().await;
}

/// Ends sessions one after the other until the node is gone; gives those whose end was acknowledged.
async fn end_until_killed(
    client: Client,
    sessions: Vec<Value>,
    count: Arc<AtomicUsize>,
) -> Vec<Value> {
    let mut ended = Vec::new();
    for session in sessions {
        match end(&client, &session).attempt().await {
            Some(answer) if answer.status == 204 => ended.push(session),
            Some(_) => {}
            None => break,
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_acknowledged_before_it_was_killed_holds_on_the_others() {
    let redis = Keyspace::on(shared::standalone().await);
    let other = redis.launch().start().await;
    let mut node = redis.launch().start().await;
    for round in 1..=5 {
        let count = Arc::new(AtomicUsize::new(0));
        let mut enders = JoinSet::new();
        for login in 0..4 {
            let mut sessions = Vec::new();
            for number in 0..50 {
                let key = format!("{round}-{login}-{number}");
                sessions.push(open_once(&other.admin(), &login.to_string(), &key).await);
            }
            enders.spawn(end_until_killed(node.admin(), sessions, Arc::clone(&count)));
        }
        eventually(DEADLINE, || async {
            count.load(Ordering::SeqCst) >= 20 * round
        })
        .await;
        node = node.kill_and_restart().await;
        let ended = enders.join_all().await.concat();
        assert!(!ended.is_empty());
        for session in ended {
            assert_logged_out(&other.admin(), &session).await;
        }
    }
    drop((node, other));
    redis.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_killed_node_slowed_down_the_others_slow_down_too() {
    let redis = Keyspace::on(shared::standalone().await);
    let killed = redis.launch().start().await;
    let other = redis.launch().start().await;
    fail_until_throttled(&killed.nobody(), 6).await;
    let again = killed.kill_and_restart().await;
    for node in [&other, &again] {
        assert_throttled(&node.nobody()).await;
        node.admin().get("/v1/whoami").await.expect(200);
    }
    drop((other, again));
    redis.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_is_neither_yes_nor_no_and_is_found_again() {
    let redis = Keyspace::own().await;
    let gateways: [Gateway; 2] = [redis.launch().start().await, redis.launch().start().await];
    let session = open_once(&gateways[0].admin(), "u", "one").await;
    redis.server().freeze();
    for admin in gateways.each_ref().map(Gateway::admin) {
        for _ in 0..20 {
            let answer = verify(&admin, &session).await;
            answer.problem(503, "store_unavailable");
            assert_eq!(answer.header("retry-after"), "1");
        }
        admin.get("/readyz").await.expect(503);
        admin.get("/livez").await.expect(200);
    }
    redis.server().thaw();
    for admin in gateways.each_ref().map(Gateway::admin) {
        eventually(DEADLINE, || async {
            admin.get("/readyz").await.status == 200
        })
        .await;
        let verified = known(|| verify(&admin, &session)).await.value(200);
        assert_eq!(verified["active"], true);
    }
}
