//! `kill -9` in the middle of everything: what was acknowledged is there, and what expired meanwhile ends once.
//!
//! `SGW_TEST_CRASHES` sets how often the server is killed; 100 times if it is not set.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, Gateway, Launch, assert_throttled, fail_until_throttled};

/// Clients that write when the server is killed.
const WRITERS: usize = 8;

/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a writer was told of one session.
#[derive(Debug)]
struct Acknowledged {
    id: String,
    /// The last number that was acknowledged; the next one may be there too.
    number: u64,
    /// The end was asked for, and perhaps acknowledged.
    end: Option<End>,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Asked,
    Acknowledged,
}

/// Opens sessions, writes them and ends every other one, until the server is gone.
async fn write_until_killed(client: Client, writer: usize, round: usize) -> Vec<Acknowledged> {
    let mut told = Vec::new();
    for n in 0.. {
        let request =
            json!({"login_id": format!("{writer}-{}", round % 10), "attributes": {"n": 0}});
        let Some(created) = client.post("/v1/sessions").json(&request).attempt().await else {
            break;
        };
        let id = created.value(201)["session"]["session_id"].clone();
        told.push(Acknowledged {
            id: id.as_str().unwrap().to_owned(),
            number: 0,
            end: None,
        });
        let session = told.last_mut().unwrap();
        if !write_one(&client, session, n % 2 == 0).await {
            break;
        }
    }
    told
}

/// Tells whether the server is still there.
async fn write_one(client: &Client, session: &mut Acknowledged, ends: bool) -> bool {
    let path = format!("/v1/sessions/{}", session.id);
    for number in 1..=3 {
        let put = client
            .put(format!("{path}/attributes/n"))
            .json(&json!(number))
            .attempt();
        let Some(answer) = put.await else {
            return false;
        };
        answer.value(200);
        session.number = number;
    }
    if ends {
        session.end = Some(End::Asked);
        let Some(answer) = client.delete(path).attempt().await else {
            return false;
        };
        answer.expect(204);
        session.end = Some(End::Acknowledged);
    }
    true
}

async fn assert_kept(client: &Client, told: &Acknowledged) {
    let answer = client.get(format!("/v1/sessions/{}", told.id)).await;
    match (answer.status.as_u16(), &told.end) {
        (200, None | Some(End::Asked)) => {
            let number = answer.json()["attributes"]["n"].as_u64().unwrap();
            assert!(
                (told.number..=told.number + 1).contains(&number),
                "{told:?} has {number}"
            );
        }
        (410, Some(_)) => {}
        (status, _) => panic!("{told:?} answered {status}: {}", answer.text()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_a_hundred_times_the_server_keeps_what_it_acknowledged() {
    let rounds = crashes();
    let mut gateway = Gateway::start().await;
    for round in 0..rounds {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write_until_killed(gateway.admin(), writer, round));
        }
        let load = Duration::from_millis(20 + 7 * (round as u64 % 10));
        tokio::time::sleep(load).await;
        gateway.signal(Signal::SIGKILL);
        let told: Vec<Acknowledged> = writers.join_all().await.into_iter().flatten().collect();
        gateway = gateway.kill_and_restart().await;
        let admin = gateway.admin();
        for session in &told {
            assert_kept(&admin, session).await;
        }
    }
    let events = all_events(&gateway.admin()).await;
    let created = count(&events, "session.created");
    assert!(created.len() >= rounds, "there was no load");
    assert!(created.values().all(|times| *times == 1));
    assert!(
        count(&events, "session.ended")
            .values()
            .all(|times| *times == 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_while_the_server_is_down_ends_exactly_once() {
    let gateway = Launch::new()
        .set("SGW_SWEEP_INTERVAL", "100ms")
        .start()
        .await;
    let admin = gateway.admin();
    let mut opened = Vec::new();
    for n in 0..200 {
        let request = json!({"login_id": format!("u{}", n % 7), "idle_timeout_seconds": 1});
        let created = admin.post("/v1/sessions").json(&request).await.value(201);
        opened.push(
            created["session"]["session_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    gateway.signal(Signal::SIGKILL);
    // The process under test has a clock of its own, so this one second has to pass.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let gateway = gateway.kill_and_restart().await;
    let admin = gateway.admin();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let ended = count(&all_events(&admin).await, "session.ended");
        assert!(ended.values().all(|times| *times == 1), "{ended:?}");
        if opened.iter().all(|id| ended.contains_key(id)) {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {} ended",
            ended.len(),
            opened.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let summary = admin.get("/v1/sessions?total=true").await.value(200);
    assert_eq!(summary["total"], 0);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a longer run is asked for by the environment"
)]
fn crashes() -> usize {
    let wanted = std::env::var("SGW_TEST_CRASHES");
    wanted.map_or(100, |text| {
        text.parse().expect("SGW_TEST_CRASHES is a number")
    })
}

async fn all_events(client: &Client) -> Vec<Value> {
    let mut events = Vec::new();
    let mut path = "/v1/events?limit=1000".to_owned();
    loop {
        let page = client.get(&path).await.value(200);
        events.extend_from_slice(page["items"].as_array().unwrap());
        let Some(next) = page["next_cursor"].as_str() else {
            return events;
        };
        path = format!("/v1/events?limit=1000&after={next}");
    }
}

/// How often each session has an event of this type.
fn count(events: &[Value], event_type: &str) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for event in events.iter().filter(|event| event["type"] == event_type) {
        let id = event["session_id"].as_str().unwrap().to_owned();
        *times.entry(id).or_insert(0) += 1;
    }
    times
}

#[tokio::test]
async fn whom_a_killed_server_slowed_down_it_slows_down_again() {
    let gateway = Gateway::start().await;
    fail_until_throttled(&gateway.nobody(), 6).await;
    let again = gateway.kill_and_restart().await;
    assert_throttled(&again.nobody()).await;
    again.admin().get("/v1/whoami").await.expect(200);
}
