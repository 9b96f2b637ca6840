//! A stream of events through failovers: it goes on or ends, and whoever goes on from its last place has missed
//! nothing that is still there.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::JoinHandle;

use super::sentinels::{start, taken_over_by};
use super::{SETTLED, tell};
use crate::support::redis::eventually;
use crate::support::{Follow, Gateway, feed};

const TYPES: &str = "session.created,session.changed,session.ended,service.changed";

/// The ids of the events that were seen.
type Seen = Arc<Mutex<HashSet<String>>>;

/// Follows until it is aborted, through as many streams as it takes.
fn follow(gateway: &Gateway) -> (Seen, JoinHandle<()>) {
    let seen = Seen::default();
    let (client, told) = (gateway.admin(), Arc::clone(&seen));
    let path = format!("/v1/events?types={TYPES}");
    let following = tokio::spawn(async move {
        let mut last = None::<String>;
        loop {
            let Some(mut follow) = Follow::attempt(&client, &path, last.as_deref()).await else {
                continue;
            };
            while let Some(event) = follow.next().await {
                let id = event["id"].as_str().unwrap().to_owned();
                told.lock().unwrap().insert(id);
            }
            last = follow.last_id;
        }
    });
    (seen, following)
}

/// Everything that the feed tells now has been seen, or is soon.
async fn assert_seen(gateway: &Gateway, seen: &Seen) {
    let feed = feed(&gateway.admin(), TYPES).await;
    let ids = feed.iter().map(|event| event["id"].as_str().unwrap());
    let feed: HashSet<_> = ids.map(str::to_owned).collect();
    let start = Instant::now();
    eventually(SETTLED, || async { feed.is_subset(&seen.lock().unwrap()) }).await;
    tell(format_args!(
        "{} events were seen, {} are left; the last one came within {:?}",
        seen.lock().unwrap().len(),
        feed.len(),
        start.elapsed(),
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_misses_nothing_when_a_killed_master_is_replaced() {
    let (mut sentinels, gateway, traffic, master) = start().await;
    let (seen, following) = follow(&gateway);
    traffic.more(200).await;
    sentinels.servers[master].kill();
    taken_over_by(1 - master, &sentinels, &traffic).await;
    traffic.more(200).await;
    traffic.end().await;
    assert_seen(&gateway, &seen).await;
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_misses_nothing_when_a_frozen_master_is_replaced() {
    let (sentinels, gateway, traffic, master) = start().await;
    let (seen, following) = follow(&gateway);
    traffic.more(200).await;
    sentinels.servers[master].freeze();
    taken_over_by(1 - master, &sentinels, &traffic).await;
    sentinels.servers[master].thaw();
    traffic.more(200).await;
    traffic.end().await;
    assert_seen(&gateway, &seen).await;
    following.abort();
}
