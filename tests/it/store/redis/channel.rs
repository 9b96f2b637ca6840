//! The channel of events when it is cut, closed or moved.

use std::collections::BTreeSet;
use std::time::Duration;

use session_gateway::model::event::{Event, EventType, FeedStart};
use session_gateway::model::session::EndReason;
use session_gateway::store::Partitions;
use tokio::time::Instant;

use super::super::backend::{draft, login_id, target};
use super::super::listeners::{Notebook, all_heard_now, heard_now};
use super::node::{DEADLINE, feed, open};
use crate::support::redis::{FaultProxy, Mode, RedisCluster, RedisServer, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_channel_proves_nothing_and_loses_nothing() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::before(server.port).await;
    let far = open(&format!("redis://127.0.0.1:{}", proxy.port)).await;
    let near = open(&server.url()).await;
    let new = draft("alice");
    let part = Partitions::Shards.of_login(&new.login_id);
    near.sessions.create(new.clone()).await.unwrap();
    let notebook = Notebook::of(&far).await;
    proxy.set(Mode::BlackHole);
    let cut = Instant::now();
    let ended = near.sessions.end(target(new.session_id), EndReason::Logout);
    ended.await.unwrap();
    eventually(DEADLINE, || async {
        let until = far.events.watermark(part);
        assert!(until.is_none_or(|until| until <= cut), "it cannot know");
        until.is_none()
    })
    .await;
    assert!(notebook.gaps().contains(&part));
    let is_end = |event: &Event| event.fact.change.event_type() == EventType::SessionEnded;
    assert!(!notebook.told(part).iter().any(is_end));
    proxy.set(Mode::Pass);
    heard_now(&far, part).await;
    assert!(notebook.told(part).last().is_some_and(is_end));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_takes_no_writes_proves_nothing() {
    let server = RedisServer::start().await;
    let stores = open(&server.url()).await;
    heard_now(&stores, Partitions::Shards.of_services()).await;
    server.ask::<()>("CONFIG SET min-replicas-to-write 1").await;
    let refused = Instant::now();
    let second = Duration::from_secs(1);
    eventually(DEADLINE, || async {
        let until = stores.events.watermark(Partitions::Shards.of_services());
        assert!(until.is_none_or(|until| until <= refused), "it cannot know");
        refused.elapsed() > second
    })
    .await;
    server.ask::<()>("CONFIG SET min-replicas-to-write 0").await;
    heard_now(&stores, Partitions::Shards.of_services()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_closed_again_and_again_loses_nothing() {
    let server = RedisServer::start().await;
    let (listening, writing) = (open(&server.url()).await, open(&server.url()).await);
    let notebook = Notebook::of(&listening).await;
    let part = Partitions::Shards.of_login(&login_id("alice"));
    for number in 0..200 {
        let new = draft("alice");
        writing.sessions.create(new.clone()).await.unwrap();
        let ended = writing
            .sessions
            .end(target(new.session_id), EndReason::Logout);
        ended.await.unwrap();
        if number % 20 == 0 {
            server.ask::<i64>("CLIENT KILL TYPE pubsub").await;
        }
    }
    heard_now(&listening, part).await;
    let (feed, _) = feed(&writing, FeedStart::Start).await;
    assert_eq!(feed.len(), 400);
    let mut known = BTreeSet::new();
    let mut told = notebook.told(part);
    told.retain(|event| known.insert(event.id.as_str().to_owned()));
    assert_eq!(told, feed);
    assert!(notebook.gaps().contains(&part));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_take_nothing_with_them() {
    let cluster = RedisCluster::start().await;
    let url = format!("redis+cluster://{}", cluster.hosts());
    let (listening, writing) = (open(&url).await, open(&url).await);
    let notebook = Notebook::of(&listening).await;
    let (from, to) = (cluster.master_of(0).await, cluster.master_of(16_383).await);
    let mut moving = cluster.reshard(from, to, 1_000);
    let mut opened = BTreeSet::new();
    let mut rounds = 0;
    while moving.try_wait().unwrap().is_none() || rounds < 2 {
        for number in 0..256 {
            let new = draft(&format!("login {number}"));
            // What is refused while a slot moves may have been done all the same.
            if writing.sessions.create(new.clone()).await.is_ok() {
                opened.insert(new.session_id);
            }
        }
        rounds += 1;
    }
    assert!(moving.wait().unwrap().success());
    all_heard_now(&listening).await;
    let told = notebook.sessions();
    assert!(opened.is_subset(&told), "{:?}", opened.difference(&told));
}
