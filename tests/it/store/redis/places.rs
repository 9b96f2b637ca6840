//! Places in the feed when clocks are apart: nothing is left out.

use std::sync::Arc;
use std::time::Duration;

use session_gateway::clock::SettableClock;
use session_gateway::model::event::{Event, FeedStart};
use session_gateway::model::page::Cursor;
use session_gateway::model::request::Consistency;
use session_gateway::store::node::follow::{FollowerPlace, Followers};

use super::super::backend::{Backend, START, limit};
use super::node::{clock, node};
use crate::support::redis::RedisServer;

/// As far as clocks may be apart without anything being noticed, and nearly as far as they may.
const BEHIND: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(60),
    Duration::from_secs(14 * 60),
];

async fn read(b: &Backend, from: &FeedStart) -> (Vec<Event>, Cursor) {
    let events = &b.stores.events;
    let page = events.events(from, &[], limit(1_000), Consistency::Now);
    let page = page.await.unwrap();
    assert!(page.caught_up);
    (page.events, page.next.cursor())
}

fn has(events: &[Event], login: &str) -> bool {
    let logins = events
        .iter()
        .filter_map(|event| event.fact.login_id.as_ref());
    logins.into_iter().any(|id| id.as_str() == login)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_clock_that_is_behind_is_read_after_a_place_of_one_that_is_not() {
    let server = RedisServer::start().await;
    let ahead = node(&server.url(), &clock()).await;
    for (number, behind) in BEHIND.into_iter().enumerate() {
        let own = Arc::new(SettableClock::at(START.minus(behind)));
        let late = node(&server.url(), &own).await;
        ahead.open(&format!("ahead {number}")).await;
        let (_, place) = read(&ahead, &FeedStart::Start).await;
        assert!(place.encode().len() < 100, "it tells a moment");
        // No event of this shard comes before it: it stands before the place.
        let login = format!("behind {number}");
        late.open(&login).await;
        for reader in [&ahead, &late] {
            let (events, next) = read(reader, &FeedStart::At(place.clone())).await;
            assert!(has(&events, &login), "{behind:?}: {events:?}");
            let (again, _) = read(reader, &FeedStart::At(next)).await;
            assert_eq!(again, [], "nothing is new after it");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_told_of_an_event_that_stands_before_its_place() {
    let server = RedisServer::start().await;
    let ahead = node(&server.url(), &clock()).await;
    let own = Arc::new(SettableClock::at(START.minus(Duration::from_secs(60))));
    let late = node(&server.url(), &own).await;
    ahead.open("ahead").await;
    let followers = Followers::new(ahead.stores.events.clone(), 1);
    let begun = followers
        .follow(&FeedStart::Start, Vec::new(), FollowerPlace::Any)
        .await;
    let mut follower = begun.unwrap();
    let mut told = Vec::new();
    late.open("behind").await;
    while told.len() < 2 {
        told.extend(follower.next(Duration::from_secs(1)).await.unwrap());
    }
    let events: Vec<Event> = told.iter().map(|placed| placed.event.clone()).collect();
    assert!(has(&events, "ahead") && has(&events, "behind"));
    // The place after it is exact all the same.
    let place = FeedStart::At(told[1].position.clone());
    assert_eq!(read(&ahead, &place).await.0, []);
}
