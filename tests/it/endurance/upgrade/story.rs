//! What the feed tells at gateways of both versions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::DEADLINE;
use crate::support::{Client, Follow, Gateway, feed};

/// All there are.
const TYPES: &str = "session.created,session.changed,session.rotated,session.ended,login.banned,login.unbanned,service.changed";

/// Before a stream that ended is begun again.
const PAUSE: Duration = Duration::from_millis(20);

type Told = HashMap<String, Value>;

/// What an old and a new gateway tell in pages, and the new one as it happens. The old one is not followed: in a9b8ef3 a
/// stream whose read fails before it has caught up leaves events out.
pub(super) struct Story {
    tellers: [Client; 2],
    seen: Arc<Mutex<Told>>,
    following: JoinHandle<()>,
    /// What was told before the new one was followed.
    before: Told,
}

/// All that the feed of a gateway tells, in its order.
pub(super) async fn of(gateway: &Gateway) -> Vec<Value> {
    feed(&gateway.admin(), TYPES).await
}

async fn read(client: &Client) -> Told {
    let events = feed(client, TYPES).await;
    let count = events.len();
    let told: Told = events.into_iter().map(named).collect();
    assert_eq!(told.len(), count, "an event is told twice");
    told
}

fn named(event: Value) -> (String, Value) {
    (event["id"].as_str().unwrap().to_owned(), event)
}

/// A stream that ends, as one does whose credentials nobody can judge just now, goes on where it ended.
async fn follow(client: Client, path: String, seen: Arc<Mutex<Told>>) {
    let mut last = None::<String>;
    loop {
        if let Some(mut follow) = Follow::attempt(&client, &path, last.as_deref()).await {
            while let Some(event) = follow.next().await {
                seen.lock().unwrap().extend([named(event)]);
            }
            last = follow.last_id;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Story {
    pub(super) async fn follow(old: &Gateway, new: &Gateway) -> Self {
        let told = of(old).await;
        let last = told.last().unwrap()["id"].as_str().unwrap();
        let path = format!("/v1/events?after={last}");
        let seen = Arc::<Mutex<Told>>::default();
        let following = follow(new.admin(), path, Arc::clone(&seen));
        Self {
            tellers: [old.admin(), new.admin()],
            seen,
            following: tokio::spawn(following),
            before: told.into_iter().map(named).collect(),
        }
    }

    /// Each gateway tells what the other has told before, to the letter, and the stream as well.
    pub(super) async fn assert_one(self) {
        let mut before = Told::new();
        for teller in self.tellers.iter().chain(&self.tellers) {
            let told = read(teller).await;
            for (id, event) in &before {
                assert_eq!(told.get(id), Some(event), "{id}");
            }
            before = told;
        }
        self.assert_seen(&before).await;
        self.following.abort();
    }

    async fn assert_seen(&self, told: &Told) {
        let deadline = Instant::now() + DEADLINE;
        let missing = || {
            let seen = self.seen.lock().unwrap();
            let told = told.iter().filter(|(id, _)| !self.before.contains_key(*id));
            let missing = told.filter(|(id, event)| seen.get(*id) != Some(*event));
            missing.map(|(id, _)| id.clone()).collect::<Vec<_>>()
        };
        while !missing().is_empty() {
            assert!(
                Instant::now() < deadline,
                "of {} not seen: {:?}",
                told.len(),
                missing()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}
