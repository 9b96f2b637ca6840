//! A stream of events through failovers: it goes on or ends, and whoever goes on from its last place has missed
//! nothing that is still there.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::JoinHandle;

use super::sentinels::{start, taken_over_by};
use super::{RECOVERY, patiently, tell};
use crate::support::redis::eventually;
use crate::support::{Client, Follow, Gateway};

/// The ids of the events that were seen.
type Seen = Arc<Mutex<HashSet<String>>>;

/// Follows until it is aborted, through as many streams as it takes.
fn follow(gateway: &Gateway) -> (Seen, JoinHandle<()>) {
    let seen = Seen::default();
    let (client, told) = (gateway.admin(), Arc::clone(&seen));
    let following = tokio::spawn(async move {
        let mut last = None::<String>;
        loop {
            let Some(mut follow) = Follow::attempt(&client, "/v1/events", last.as_deref()).await
            else {
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

/// The ids of all events that the feed tells.
async fn feed(client: &Client) -> HashSet<String> {
    let mut ids = HashSet::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/events?limit=1000{after}");
        let page = patiently(|| client.get(&path)).await.value(200);
        let items = page["items"].as_array().unwrap();
        ids.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => after = format!("&after={cursor}"),
            None => return ids,
        }
    }
}

/// Everything that the feed tells now has been seen, or is soon.
async fn assert_seen(gateway: &Gateway, seen: &Seen) {
    let feed = feed(&gateway.admin()).await;
    let start = Instant::now();
    eventually(RECOVERY, || async { feed.is_subset(&seen.lock().unwrap()) }).await;
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
