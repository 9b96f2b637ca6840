//! Guarded writes: what is decided here is written only if it still holds there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use deadpool_redis::redis::{Commands, Connection, cmd};
use session_gateway::clock::Clock;
use session_gateway::model::Timestamp;
use session_gateway::model::profile::UserDetails;
use session_gateway::rules::idempotency::Claim;
use session_gateway::rules::profiles::{
    LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile,
};
use session_gateway::store::{IdempotencyRecordKey, StoreError};
use tokio::task::JoinSet;

use super::super::backend::{Backend, HOUR, MILLISECOND, MINUTE, SECOND, START, login_id};
use super::super::rotation::{opened, rotate};
use super::Keyspace;

const KEY: IdempotencyRecordKey = IdempotencyRecordKey([7; 32]);
const REQUEST: [u8; 32] = [1; 32];
const TICKET: LoadTicket = LoadTicket([1; 16]);

fn profile() -> NewProfile {
    NewProfile {
        details: UserDetails::parse(b"{}").unwrap(),
        ttl: MINUTE,
        stale_for: HOUR,
    }
}

/// Stands still until it is armed; then it shows the last moment of a minute once, and from then on the one after it.
#[derive(Debug, Default)]
struct Jump(AtomicU8);

impl Clock for Jump {
    fn now(&self) -> Timestamp {
        let armed = self
            .0
            .compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst);
        match (armed, self.0.load(Ordering::SeqCst)) {
            (Ok(_), _) => START.plus(MINUTE - MILLISECOND),
            (Err(2), _) | (_, 2) => START.plus(MINUTE),
            (Err(_), _) => START,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_whose_lease_ends_between_the_decision_and_the_write_is_overtaken() {
    let keyspace = Keyspace::own().await;
    let clock = Arc::new(Jump::default());
    let stores = keyspace
        .open(HOUR, Some(Arc::<Jump>::clone(&clock) as Arc<dyn Clock>))
        .await;
    let (profiles, ana) = (&stores.profiles, login_id("ana"));
    let begun = profiles.begin_load(&ana, TICKET, LoadCause::Miss, MINUTE);
    assert_eq!(begun.await.unwrap(), LoadClaim::Granted);
    clock.0.store(1, Ordering::SeqCst);
    let ended = profiles.end_load(&ana, TICKET, Loaded::Found(profile()));
    assert_eq!(ended.await.unwrap(), LoadEnd::Overtaken);
    assert_eq!(profiles.find_profile(&ana).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_find_a_lease_over_one_goes_on() {
    let b = Backend::redis().await;
    for round in 0..3 {
        b.advance(10 * SECOND);
        let mut claims = JoinSet::new();
        for _ in 0..50 {
            let store = b.stores.idempotency.clone();
            claims.spawn(async move { store.claim(KEY, REQUEST, vec![round]).await.unwrap() });
        }
        let claims = claims.join_all().await;
        let first = Claim::Granted {
            sealed_entropy: vec![0],
        };
        let count = |wanted: &Claim| claims.iter().filter(|claim| *claim == wanted).count();
        assert_eq!((count(&first), count(&Claim::Busy)), (1, 49), "{round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotency_records_and_profiles_of_a_newer_format_are_refused_and_left_alone() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    let (claims, profiles, ana) = (&b.stores.idempotency, &b.stores.profiles, login_id("ana"));
    claims.claim(KEY, REQUEST, b"draw".to_vec()).await.unwrap();
    profiles.put_profile(&ana, profile()).await.unwrap();
    let mut keys: Vec<Vec<u8>> = redis.keys("*").unwrap();
    keys.retain(|key| key.starts_with(b"sgw:k:") || key.get(8..11) == Some(b":p:"));
    assert_eq!(keys.len(), 2);
    for key in &keys {
        redis.hset::<_, _, _, ()>(key, "f", 200).unwrap();
    }
    let before = dump(&mut redis, &keys);
    let newer = |error: StoreError| matches!(error, StoreError::NewerFormat { format: 200, .. });
    let claimed = claims.claim(KEY, REQUEST, b"draw".to_vec()).await;
    assert!(newer(claimed.unwrap_err()));
    let kept = claims.keep_answer(KEY, b"answer".to_vec()).await;
    assert!(newer(kept.unwrap_err()));
    assert!(newer(profiles.find_profile(&ana).await.unwrap_err()));
    let put = profiles.put_profile(&ana, profile()).await;
    assert!(newer(put.unwrap_err()));
    assert!(newer(profiles.remove_profile(&ana).await.unwrap_err()));
    assert_eq!(dump(&mut redis, &keys), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_cannot_be_read_gives_way_to_any_write() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    let (profiles, ana) = (&b.stores.profiles, login_id("ana"));
    let mut spoil = || {
        let keys: Vec<Vec<u8>> = redis.keys("sgw:*:p:*").unwrap();
        redis.hset::<_, _, _, ()>(&keys[0], "v", "{").unwrap();
    };
    profiles.put_profile(&ana, profile()).await.unwrap();
    spoil();
    let found = profiles.find_profile(&ana).await;
    assert!(
        matches!(found, Err(StoreError::Corrupt { .. })),
        "{found:?}"
    );
    profiles.put_profile(&ana, profile()).await.unwrap();
    assert!(profiles.find_profile(&ana).await.unwrap().is_some());
    spoil();
    let begun = profiles.begin_load(&ana, TICKET, LoadCause::Miss, MINUTE);
    assert_eq!(begun.await.unwrap(), LoadClaim::Granted);
    let ended = profiles.end_load(&ana, TICKET, Loaded::Found(profile()));
    assert!(matches!(ended.await.unwrap(), LoadEnd::Kept(_)));
    spoil();
    profiles.remove_profile(&ana).await.unwrap();
    assert_eq!(profiles.find_profile(&ana).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_shows_nothing_of_what_it_keeps() {
    let b = Backend::redis().await;
    let (_, first) = opened(&b).await;
    rotate(&b, &first, 1).await.unwrap();
    let shown = format!("{:?}", b.stores);
    assert!(
        shown.contains("RedisStore") && !shown.contains("sealed"),
        "{shown}"
    );
}

fn dump(redis: &mut Connection, keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let dump = |key| cmd("DUMP").arg(key).query(redis).unwrap();
    keys.iter().map(dump).collect()
}
