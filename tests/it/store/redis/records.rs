//! What this version did not write is never shown and never overwritten; what an index tells wrongly is repaired.

use std::collections::BTreeMap;

use deadpool_redis::redis::{Commands, Connection, cmd};
use session_gateway::clock::SettableClock;
use session_gateway::model::event::EventType;
use session_gateway::model::filter::SessionFilter;
use session_gateway::model::id::SessionId;
use session_gateway::model::permission::Scope;
use session_gateway::model::request::Touch;
use session_gateway::model::session::{EndReason, Session};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::refusal::Refusal;
use session_gateway::store::{OpError, StoreError};

use super::super::backend::{
    Backend, IDLE, MINUTE, SECOND, START, attribute, draft, limit, login_id, merge, presented,
    refusal, target, value,
};
use super::super::rotation;
use super::Keyspace;
use super::node::settled;

fn key(kind: &str, id: &[u8], session_id: SessionId) -> Vec<u8> {
    let shard = session_id.as_bytes()[15];
    [format!("sgw:{{{shard:02x}}}:{kind}").as_bytes(), id].concat()
}

fn record_key(session_id: SessionId) -> Vec<u8> {
    key("s:", session_id.as_bytes(), session_id)
}

async fn with_attributes(b: &Backend) -> (NewSession, Session) {
    let new = NewSession {
        attributes: [(attribute("role"), value("\"admin\""))]
            .into_iter()
            .collect(),
        ..draft("alice")
    };
    let session = b.create(new.clone()).await.session;
    (new, session)
}

fn dump(redis: &mut Connection) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = redis.keys("*").unwrap();
    // Heartbeats write all the time.
    keys.retain(|key| !key.ends_with(b"}:b"));
    let dump = |key: Vec<u8>| {
        let bytes = cmd("DUMP").arg(&key).query(redis).unwrap();
        (key, bytes)
    };
    keys.into_iter().map(dump).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_newer_format_is_refused_and_left_alone() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    let (new, session) = with_attributes(&b).await;
    let id = session.session_id;
    redis.hset::<_, _, _, ()>(record_key(id), "f", 200).unwrap();
    b.advance(IDLE);
    let before: BTreeMap<Vec<u8>, Vec<u8>> = redis.hgetall(record_key(id)).unwrap();
    let sessions = &b.stores.sessions;
    let newer = |error: &StoreError| matches!(error, StoreError::NewerFormat { format: 200, .. });
    assert!(newer(&sessions.find(id, &Scope::All).await.unwrap_err()));
    let verified = sessions.find_by_token(&presented(&new), Touch::Yes).await;
    assert!(newer(&verified.unwrap_err()));
    for refused in [
        sessions
            .change(target(id), merge(&[("a", "1")]))
            .await
            .map(drop),
        sessions.refresh(target(id), None).await.map(drop),
        sessions.heartbeat(target(id), None).await.map(drop),
        sessions.end(target(id), EndReason::Logout).await.map(drop),
        sessions.create(new).await.map(drop),
    ] {
        let Err(OpError::Store(error)) = refused else {
            panic!("should be unknown, is {refused:?}");
        };
        assert!(newer(&error));
    }
    b.sweep().await;
    let after: BTreeMap<Vec<u8>, Vec<u8>> = redis.hgetall(record_key(id)).unwrap();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_written_record_is_no_session() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    for field in [
        "f", "d", "o", "l", "t", "k", "v", "s", "b", "u", "i", "m", "p", "n", "z",
    ] {
        let (new, session) = with_attributes(&b).await;
        let id = session.session_id;
        redis.hdel::<_, _, ()>(record_key(id), field).unwrap();
        if !["k", "n", "z"].contains(&field) {
            assert_eq!(b.find(id).await, Lookup::Unknown, "without {field}");
            assert_eq!(b.verify(&presented(&new)).await, Lookup::Unknown);
        }
        let sessions = &b.stores.sessions;
        let changed = sessions.change(target(id), merge(&[("a", "1")])).await;
        assert_eq!(refusal(changed), Refusal::SessionUnknown, "without {field}");
        let ended = sessions.end(target(id), EndReason::Logout).await;
        assert_eq!(refusal(ended), Refusal::SessionUnknown, "without {field}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_type_in_the_place_of_a_record_is_no_session_and_harms_no_other() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    let (new, session) = with_attributes(&b).await;
    let other = b.open("alice").await;
    let id = session.session_id;
    redis.del::<_, ()>(record_key(id)).unwrap();
    redis.set::<_, _, ()>(record_key(id), "odd").unwrap();
    assert_eq!(b.find(id).await, Lookup::Unknown);
    assert_eq!(b.verify(&presented(&new)).await, Lookup::Unknown);
    let sessions = &b.stores.sessions;
    let changed = sessions.change(target(id), merge(&[("a", "1")])).await;
    assert_eq!(refusal(changed), Refusal::SessionUnknown);
    let ended = sessions.end(target(id), EndReason::Logout).await;
    assert_eq!(refusal(ended), Refusal::SessionUnknown);
    let login = sessions.login(&login_id("alice")).await.unwrap();
    assert_eq!(login.session_count, 1);
    let filter = SessionFilter::default();
    let listed = sessions.list(&filter, &Scope::All, limit(9), None).await;
    assert_eq!(listed.unwrap().items, [other]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_under_another_id_is_never_shown() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    let (alice, victim) = (b.open("alice").await, b.open("alice").await);
    let (from, to) = (record_key(victim.session_id), record_key(alice.session_id));
    cmd("COPY")
        .arg(from)
        .arg(to)
        .arg("REPLACE")
        .exec(&mut redis)
        .unwrap();
    assert_eq!(b.find(alice.session_id).await, Lookup::Unknown);
    let sessions = &b.stores.sessions;
    let changed = sessions.change(target(alice.session_id), merge(&[])).await;
    assert_eq!(refusal(changed), Refusal::SessionUnknown);
    assert_eq!(b.live(victim.session_id).await, victim);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_type_stops_an_operation_before_it_writes() {
    for kind in ["i", "x", "e"] {
        let b = Backend::redis().await;
        let mut redis = b.redis_connection();
        let (_, session) = with_attributes(&b).await;
        let id = session.session_id;
        let odd = key(kind, b"", id);
        redis.del::<_, ()>(&odd).unwrap();
        redis.set::<_, _, ()>(&odd, "odd").unwrap();
        let before = dump(&mut redis);
        let sessions = &b.stores.sessions;
        sessions.create(draft("alice")).await.unwrap_err();
        let change = sessions.change(target(id), merge(&[("a", "1")])).await;
        change.unwrap_err();
        sessions
            .refresh(target(id), Some(MINUTE))
            .await
            .unwrap_err();
        sessions.heartbeat(target(id), None).await.unwrap_err();
        sessions
            .end(target(id), EndReason::Logout)
            .await
            .unwrap_err();
        assert_eq!(before, dump(&mut redis), "with an odd {kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_index_tells_wrongly_is_hidden_and_repaired() {
    for login in [None, Some(login_id("alice"))] {
        let b = Backend::redis().await;
        let mut redis = b.redis_connection();
        let (ghost, live) = (b.open("alice").await, b.open("alice").await);
        redis.del::<_, ()>(record_key(ghost.session_id)).unwrap();
        let filter = SessionFilter {
            login_id: login.clone(),
            ..SessionFilter::default()
        };
        let sessions = &b.stores.sessions;
        let listed = sessions.list(&filter, &Scope::All, limit(9), None).await;
        assert_eq!(listed.unwrap().items, std::slice::from_ref(&live));
        let ids: Vec<Vec<u8>> = redis.zrange(key("i", b"", live.session_id), 0, -1).unwrap();
        assert_eq!(ids, [live.session_id.as_bytes()]);
        assert_eq!(b.count().await, 1);
        if login.is_some() {
            let members = redis.zcard(key("l:", &login_key("alice"), live.session_id));
            assert_eq!(members, Ok(1));
        }
    }
}

fn login_key(login: &str) -> Vec<u8> {
    login_id(login).digest()[..16].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_of_the_server_judges() {
    let keyspace = Keyspace::own().await;
    let stores = keyspace.open(MINUTE, None).await;
    let new = NewSession {
        idle_timeout: SECOND,
        ..draft("alice")
    };
    let session = stores.sessions.create(new.clone()).await.unwrap().session;
    let deadline = session.expires_at.plus(5 * SECOND);
    loop {
        let asked = stores.sessions.now();
        match stores
            .sessions
            .find(new.session_id, &Scope::All)
            .await
            .unwrap()
        {
            Lookup::Live(_) => assert!(asked < deadline, "it should be over"),
            Lookup::Ended(tombstone) => {
                assert_eq!(tombstone.ended.at, session.expires_at);
                assert_eq!(tombstone.ended.reason, EndReason::IdleTimeout);
                assert!(stores.sessions.now().plus(SECOND) >= session.expires_at);
                break;
            }
            Lookup::Unknown => panic!("it is known"),
        }
    }
    while stores.sessions.sweep().await.unwrap() {}
    let clock = SettableClock::at(START);
    let b = Backend::over(stores, std::sync::Arc::new(clock));
    let types = b.types(new.session_id).await;
    assert_eq!(types, [EventType::SessionCreated, EventType::SessionEnded]);
    keyspace.close().await;
}

/// What connections ask beside all requests, to know the master and its clock, and what the test asks.
const OF_THE_LINK: [&str; 5] = ["time", "info", "ping", "role", "config"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_read_by_one_command() {
    let b = Backend::redis().await;
    let (new, session) = with_attributes(&b).await;
    settled(&b.stores, b.keyspace().server()).await;
    let mut redis = b.redis_connection();
    cmd("CONFIG").arg("RESETSTAT").exec(&mut redis).unwrap();
    for _ in 0..50 {
        b.live(session.session_id).await;
        b.verified(&presented(&new)).await;
    }
    let stats: String = cmd("INFO").arg("commandstats").query(&mut redis).unwrap();
    let mut calls: BTreeMap<_, _> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
        .map(|(name, rest)| (name, rest.split(',').next().unwrap()))
        .filter(|(name, _)| !OF_THE_LINK.iter().any(|own| name.starts_with(own)))
        .collect();
    // A heartbeat is a script with one of each.
    let beats = calls.remove("evalsha");
    assert_eq!(calls.remove("set"), beats);
    assert_eq!(calls.remove("publish"), beats);
    assert_eq!(calls, BTreeMap::from([("hgetall", "100")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_rotated_often_is_still_a_small_hash() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    let (session_id, mut last) = rotation::opened(&b).await;
    for number in 1..=20 {
        rotation::rotate(&b, &last, number).await.unwrap();
        last = rotation::token(session_id, number);
    }
    let mut encoding = cmd("OBJECT");
    let encoding = encoding.arg("ENCODING").arg(record_key(session_id));
    let told: String = encoding.query(&mut redis).unwrap();
    assert_eq!(told, "listpack");
    b.close().await;
}
