//! Followers of the feed, cut off again and again and moved from node to node: each sees every change at least once,
//! and those of a login in order.
//!
//! `SGW_TEST_CHANGES` sets how many changes that are; 10,000 if it is not set.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::gateways::Nodes;
use crate::support::{Client, Follow, Opened, open, size};

on_three_nodes! {
    a_follower_that_is_cut_off_and_moved_sees_every_change,
    what_all_nodes_do_is_followed_at_each_at_once,
    a_service_that_is_removed_elsewhere_hears_no_more,
}

on_three_nodes!(many = shared::standalone(); two_hundred_follow_at_once);

/// Longer than any of this takes.
const DEADLINE: Duration = Duration::from_secs(300);

/// What a follower has seen, each event once.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    /// What happened to each session, in the order in which it was told first.
    stories: HashMap<String, Vec<(String, u64)>>,
    again: usize,
}

impl Seen {
    fn add(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        if !self.ids.insert(text("id")) {
            self.again += 1;
            return;
        }
        let version = event["data"]["version"].as_u64().unwrap_or_default();
        let story = self.stories.entry(text("session_id")).or_default();
        story.push((text("type"), version));
    }

    #[track_caller]
    fn assert_whole(&self, sessions: usize, writes: u64) {
        assert_eq!(self.stories.len(), sessions);
        let story = |name: &str, version| (format!("session.{name}"), version);
        let mut expected = vec![story("created", 0)];
        expected.extend((2..2 + writes).map(|version| story("changed", version)));
        expected.push(story("ended", 0));
        for (session, told) in &self.stories {
            assert_eq!(told, &expected, "{session}");
        }
    }
}

/// Opens sessions, writes to each and ends it, each step at another node.
async fn change(nodes: &Nodes, sessions: usize, writes: u64) {
    let mut changers = JoinSet::new();
    for number in 0..sessions {
        let clients = nodes.admins();
        changers.spawn(async move {
            let client = |step: usize| &clients[(number + step) % clients.len()];
            let session = open(client(0), json!({"login_id": format!("u{number}")})).await;
            for write in 0..writes {
                let step = usize::try_from(write).unwrap();
                let put = client(step + 1).put(session.at("/attributes/n"));
                assert!(put.json(&json!(write)).await.status.is_success());
            }
            client(2).delete(session.path()).await.expect(204);
        });
    }
    changers.join_all().await;
}

/// Reads some events here and some there, until it has seen so many.
async fn wander(clients: Vec<Client>, number: u64, count: usize) -> Seen {
    const PATH: &str = "/v1/events?types=session.created,session.changed,session.ended";
    let mut rng = Rng::with_seed(number);
    let (mut seen, mut last, mut cuts) = (Seen::default(), None::<String>, 0);
    while seen.ids.len() < count {
        let client = rng.choice(&clients).unwrap();
        let mut follow = Follow::begin(client, PATH, last.as_deref()).await;
        for _ in 0..rng.usize(1..=count / 8) {
            seen.add(
                &follow
                    .next()
                    .await
                    .expect("a stream does not end by itself"),
            );
            if seen.ids.len() == count {
                break;
            }
        }
        last = follow.last_id.clone();
        cuts += 1;
    }
    eprintln!(
        "{count} events in {cuts} streams, {} of them again",
        seen.again
    );
    seen
}

async fn a_follower_that_is_cut_off_and_moved_sees_every_change(nodes: &Nodes) {
    const SESSIONS: usize = 50;
    let each = size("SGW_TEST_CHANGES", 10_000) / SESSIONS;
    let count = each * SESSIONS;
    let writes = u64::try_from(each - 2).unwrap();
    let mut followers = JoinSet::new();
    for seed in 0..3 {
        followers.spawn(timeout(DEADLINE, wander(nodes.admins(), seed, count)));
    }
    change(nodes, SESSIONS, writes).await;
    // One that begins when all is over.
    followers.spawn(timeout(DEADLINE, wander(nodes.admins(), 3, count)));
    for seen in followers.join_all().await {
        seen.expect("all of it in time")
            .assert_whole(SESSIONS, writes);
    }
}

async fn what_all_nodes_do_is_followed_at_each_at_once(nodes: &Nodes) {
    const SESSIONS: usize = 60;
    let path = "/v1/events?types=session.ended";
    let mut followers = JoinSet::new();
    for client in nodes.admins() {
        let mut follow = Follow::begin(&client, path, None).await;
        followers.spawn(async move { follow.take(SESSIONS).await });
    }
    let mut ended = HashSet::new();
    for turn in 0..SESSIONS {
        let session: Opened = open(&nodes.admin(turn), json!({"login_id": "u"})).await;
        let end = nodes.admin(turn + 1).delete(session.path());
        end.await.expect(204);
        ended.insert(session.id);
    }
    for events in followers.join_all().await {
        let ids = events.iter().map(|event| event["session_id"].as_str());
        let ids: HashSet<_> = ids.map(|id| id.unwrap().to_owned()).collect();
        assert_eq!(ids, ended);
    }
}

async fn a_service_that_is_removed_elsewhere_hears_no_more(nodes: &Nodes) {
    let wanted =
        json!({"service_id": "reader", "service_name": "r", "permissions": ["event.read"]});
    let made = nodes.admin(0).post("/v1/services").json(&wanted);
    let made = made.await.value(201);
    let reader = nodes
        .nobody(1)
        .as_service("reader", made["secret"].as_str().unwrap());
    let path = "/v1/events?types=session.created";
    let mut follow = Follow::begin(&reader, path, None).await;
    open(&nodes.admin(2), json!({"login_id": "before"})).await;
    assert_eq!(follow.next().await.unwrap()["login_id"], "before");
    let remove = nodes.admin(0).delete("/v1/services/reader");
    remove.await.expect(204);
    open(&nodes.admin(2), json!({"login_id": "after"})).await;
    assert_eq!(follow.next().await, None);
    assert!(follow.ended_well());
}

async fn two_hundred_follow_at_once(nodes: &Nodes) {
    const SESSIONS: usize = 20;
    let mut begun = JoinSet::new();
    for turn in 0..200 {
        let client = nodes.admin(turn);
        begun.spawn(async move {
            let path = "/v1/events?types=session.created,session.changed,session.ended";
            Follow::begin(&client, path, None).await
        });
    }
    let begun = begun.join_all().await;
    let mut followers = JoinSet::new();
    for mut follow in begun {
        followers.spawn(timeout(DEADLINE, async move {
            let mut seen = Seen::default();
            while seen.ids.len() < SESSIONS * 5 {
                seen.add(&follow.next().await.expect("an event"));
            }
            seen
        }));
    }
    change(nodes, SESSIONS, 3).await;
    for seen in followers.join_all().await {
        seen.expect("all of it in time").assert_whole(SESSIONS, 3);
    }
}
