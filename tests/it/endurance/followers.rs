//! Followers of several gateways that are killed again and again: each goes on at another one and sees everything.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::fleet::{Clients, Fleet};
use super::stored::{DEADLINE, Stored};
use super::worker::Worker;
use crate::support::redis::eventually;
use crate::support::{Follow, feed};

const TYPES: &str = "session.created,session.changed,session.rotated,session.ended";
const OPERATIONS: usize = 2_000;
const WORKERS: u64 = 12;
const KILLS: usize = 5;

/// What a follower saw, in its order.
type Seen = Arc<Mutex<Vec<Value>>>;

/// Follows until it is aborted: one gateway until its stream ends, then the next.
fn follow(clients: Clients, first: usize) -> (Seen, JoinHandle<()>) {
    let seen = Seen::default();
    let told = Arc::clone(&seen);
    let path = format!("/v1/events?types={TYPES}");
    let following = tokio::spawn(async move {
        let mut last = None::<String>;
        for which in first.. {
            let client = clients.get(which);
            let Some(mut follow) = Follow::attempt(&client, &path, last.as_deref()).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            while let Some(event) = follow.next().await {
                told.lock().unwrap().push(event);
            }
            last = follow.last_id;
        }
    });
    (seen, following)
}

fn ids(events: &[Value]) -> HashSet<String> {
    let ids = events.iter().map(|event| event["id"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

/// What was told of each login, each event where it was told first.
fn by_login(events: &[Value]) -> HashMap<String, Vec<String>> {
    let mut told = HashSet::new();
    let mut logins: HashMap<String, Vec<String>> = HashMap::new();
    for event in events {
        let id = event["id"].as_str().unwrap();
        if told.insert(id) {
            let login = event["login_id"].as_str().unwrap().to_owned();
            logins.entry(login).or_default().push(id.to_owned());
        }
    }
    logins
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_see_everything_though_their_gateways_are_killed() {
    let stored = Stored::on_a_cluster().await;
    let mut fleet = Fleet::start(stored.launch(), 3).await;
    let followers: Vec<_> = (0..3).map(|first| follow(fleet.clients(), first)).collect();
    let left = Arc::new(AtomicUsize::new(OPERATIONS));
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let worker = Worker::new(number, fleet.clients());
        workers.spawn(worker.run(Arc::clone(&left)));
    }
    for kill in 0..KILLS {
        sleep(Duration::from_millis(700)).await;
        fleet.kill_and_restart(kill % fleet.len()).await;
    }
    workers.join_all().await;
    let client = fleet.clients().get(0);
    for (seen, following) in followers {
        // Sessions go on to expire.
        let all = feed(&client, TYPES).await;
        let wanted = ids(&all);
        eventually(DEADLINE, || async {
            wanted.is_subset(&ids(&seen.lock().unwrap()))
        })
        .await;
        following.abort();
        let mut seen = by_login(&seen.lock().unwrap());
        for (login, expected) in by_login(&all) {
            let told = seen.remove(&login).unwrap();
            assert_eq!(told[..expected.len()], expected, "{login}");
        }
    }
}
