//! Events of the future: what a clock that was wrong leaves in a stream.

use deadpool_redis::redis::{Commands, Connection, Value, cmd};
use session_gateway::model::Timestamp;
use session_gateway::model::event::FeedStart;
use session_gateway::model::id::SessionId;
use session_gateway::model::request::Consistency;

use super::super::backend::{Backend, HOUR, IDLE, MILLISECOND, MINUTE, SECOND, START, limit};
use super::Keyspace;
use super::node::clock;

/// As many as some nodes of a stream have.
const EVENTS: usize = 400;

const RETENTION: std::time::Duration = HOUR;

/// A store whose events are kept for an hour, with a clock that stands.
async fn store(keyspace: &Keyspace) -> Backend {
    let clock = clock();
    let own = std::sync::Arc::<session_gateway::clock::SettableClock>::clone(&clock);
    Backend::over(keyspace.open(RETENTION, Some(own)).await, clock)
}

fn stream_of(session_id: SessionId) -> String {
    let [.., shard] = session_id.as_bytes();
    format!("sgw:{{{shard:02x}}}:e")
}

/// What a gateway leaves there that was led by a clock which was so far ahead.
fn append_at(redis: &mut Connection, stream: &str, moment: Timestamp) {
    let id = format!("{}-7", moment.millis());
    let mut event = cmd("XADD");
    event.arg(stream).arg(id).arg(&["t", "?"]);
    event.exec(redis).unwrap();
}

fn newest(redis: &mut Connection, stream: &str) -> String {
    let newest: Vec<(String, Value)> = cmd("XREVRANGE")
        .arg(stream)
        .arg(&["+", "-", "COUNT", "1"])
        .query(redis)
        .unwrap();
    newest[0].0.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_the_future_moves_no_clock_and_is_followed_by_the_next_number() {
    let keyspace = Keyspace::own().await;
    let b = store(&keyspace).await;
    let mut redis = keyspace.server().blocking_connection();
    let stream = stream_of(b.open("alice").await.session_id);
    let wrong = START.plus(1_000 * HOUR);
    append_at(&mut redis, &stream, wrong);
    b.advance(MINUTE);
    let session = b.open("alice").await;
    assert_eq!(session.created_at, b.now());
    assert_eq!(newest(&mut redis, &stream), format!("{}-8", wrong.millis()));
    b.advance(IDLE - MILLISECOND);
    b.live(session.session_id).await;
    b.advance(MILLISECOND);
    assert_eq!(b.ended(session.session_id).await.at, session.expires_at);
    b.sweep().await;
    assert_eq!(b.types(session.session_id).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clocks_differ_by_still_moves_time_on() {
    let keyspace = Keyspace::own().await;
    let b = store(&keyspace).await;
    let mut redis = keyspace.server().blocking_connection();
    let stream = stream_of(b.open("alice").await.session_id);
    append_at(&mut redis, &stream, START.plus(5 * SECOND));
    let session = b.open("alice").await;
    assert_eq!(session.created_at, START.plus(5 * SECOND));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_the_future_stops_no_trimming() {
    let keyspace = Keyspace::own().await;
    let b = store(&keyspace).await;
    let mut redis = keyspace.server().blocking_connection();
    let id = b.open("alice").await.session_id;
    let stream = stream_of(id);
    append_at(&mut redis, &stream, START.plus(1_000 * HOUR));
    for number in 0..EVENTS {
        b.put(id, "a", &number.to_string()).await;
    }
    let first = b
        .stores
        .events
        .events(&FeedStart::Start, &[], limit(1), Consistency::Now)
        .await;
    let first = FeedStart::At(first.unwrap().start.cursor());
    // Each use keeps it alive; each of them appends an event.
    for _ in 0..3 {
        b.advance(IDLE - MINUTE);
        b.put(id, "a", "0").await;
    }
    let left: usize = redis.xlen(&stream).unwrap();
    assert!(left < EVENTS / 2, "{left} events");
    let feed = b.feed().await;
    assert!(feed.len() <= 3, "{} events are told", feed.len());
    assert!(
        b.stores
            .events
            .events(&first, &[], limit(1), Consistency::Now)
            .await
            .is_err()
    );
}
