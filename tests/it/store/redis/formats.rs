//! A new format is written once every gateway reads it, and from then on none starts that does not.

use std::time::{Duration, Instant};

use deadpool_redis::redis::{Commands, Connection};
use session_gateway::model::id::SessionId;
use session_gateway::model::permission::Scope;
use session_gateway::model::profile::UserDetails;
use session_gateway::model::request::Touch;
use session_gateway::model::session::{EndDetail, EndReason};
use session_gateway::rules::ban::NewBan;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::idempotency::Claim;
use session_gateway::rules::profiles::NewProfile;
use session_gateway::store::redis::FormatSettings;
use session_gateway::store::{IdempotencyRecordKey, StoreError, Stores};

use super::super::backend::{HOUR, MINUTE, draft, login_id, merge, presented, service, target};
use super::node::DEADLINE;
use super::{Keyspace, shared};
use crate::support::redis::{RedisServer, eventually};

const KEY: IdempotencyRecordKey = IdempotencyRecordKey([7; 32]);
const REQUEST: [u8; 32] = [1; 32];
/// Many heartbeats long, as the machine may be busy.
const PRESENCE: Duration = Duration::from_secs(3);

/// A gateway that reads formats up to this one.
fn up_to(newest: u64) -> FormatSettings {
    FormatSettings {
        newest,
        fixed: None,
        presence: PRESENCE,
    }
}

/// One that reads two formats and is told which to write.
fn told(format: u64) -> FormatSettings {
    FormatSettings {
        fixed: Some(format),
        ..up_to(2)
    }
}

fn key_of(keyspace: &Keyspace, session_id: SessionId) -> Vec<u8> {
    let id = session_id.as_bytes();
    let start = format!("{}:{{{:02x}}}:s:", keyspace.prefix(), id[15]);
    [start.as_bytes(), id].concat()
}

fn connections(keyspace: &Keyspace) -> impl Iterator<Item = Connection> {
    let servers = keyspace.servers().iter();
    servers.map(RedisServer::blocking_connection)
}

/// The format of a record, wherever that is.
fn format_of(keyspace: &Keyspace, session_id: SessionId) -> String {
    let key = key_of(keyspace, session_id);
    let mut found = connections(keyspace).filter_map(|mut redis| redis.hget(&key, "f").ok()?);
    found.next().unwrap()
}

/// The format in which a new session is written.
async fn written(keyspace: &Keyspace, stores: &Stores) -> String {
    let new = draft("alice");
    stores.sessions.create(new.clone()).await.unwrap();
    format_of(keyspace, new.session_id)
}

async fn refused(keyspace: &Keyspace, formats: FormatSettings) {
    let error = keyspace.open_with(formats).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "gateways write format 2 there, and this one goes no further than format 1"
    );
}

/// Sessions of both formats, each written by a gateway that writes that format, are the same to one that reads both.
async fn is_read_and_changed(keyspace: &Keyspace, stores: &Stores, format: &str) {
    let new = draft("alice");
    let id = new.session_id;
    stores.sessions.create(new.clone()).await.unwrap();
    assert_eq!(format_of(keyspace, id), format);
    let sessions = &stores.sessions;
    let verified = sessions.find_by_token(&presented(&new), Touch::Yes).await;
    assert!(matches!(verified.unwrap(), Lookup::Live(_)));
    let changed = sessions.change(target(id), merge(&[("a", "1")])).await;
    assert_eq!(changed.unwrap().session.version, 2);
    sessions.end(target(id), EndReason::Logout).await.unwrap();
    assert_eq!(format_of(keyspace, id), format);
    let found = sessions.find(id, &Scope::All).await.unwrap();
    assert!(matches!(found, Lookup::Ended(_)));
}

async fn upgrade(keyspace: Keyspace, old: FormatSettings) {
    let old = keyspace.open_with(old).await.unwrap();
    let new = keyspace.open_with(up_to(2)).await.unwrap();
    let begin = Instant::now();
    let former = draft("bob");
    new.sessions.create(former.clone()).await.unwrap();
    while begin.elapsed() < PRESENCE + PRESENCE / 2 {
        assert_eq!(written(&keyspace, &new).await, "1", "one reads no other");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is_read_and_changed(&keyspace, &new, "1").await;

    drop(old);
    eventually(DEADLINE, || async { written(&keyspace, &new).await == "2" }).await;
    is_read_and_changed(&keyspace, &new, "2").await;
    let id = former.session_id;
    let found = new.sessions.find(id, &Scope::All).await.unwrap();
    assert!(matches!(found, Lookup::Live(_)), "of the format before");
    new.sessions.heartbeat(target(id), None).await.unwrap();

    refused(&keyspace, up_to(1)).await;
    drop(new);
    refused(&keyspace, up_to(1)).await;
    refused(&keyspace, told(1)).await;
    let restarted = keyspace.open_with(up_to(2)).await.unwrap();
    assert_eq!(written(&keyspace, &restarted).await, "2", "at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_format_is_written_once_no_gateway_runs_that_does_not_read_it() {
    upgrade(Keyspace::own().await, up_to(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_one_that_is_told_to_write_the_old_one_holds_all_back() {
    let keyspace = Keyspace::on(shared::cluster().await);
    upgrade(keyspace, told(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_told_to_write_a_format_asks_nobody() {
    let keyspace = Keyspace::own().await;
    let old = keyspace.open_with(up_to(1)).await.unwrap();
    old.idempotency.claim(KEY, REQUEST, vec![]).await.unwrap();
    let new = keyspace.open_with(told(2)).await.unwrap();
    let draft = draft("alice");
    let id = draft.session_id;
    new.sessions.create(draft).await.unwrap();
    assert_eq!(format_of(&keyspace, id), "2");
    let newer = |error: &StoreError| matches!(error, StoreError::NewerFormat { format: 2, .. });
    assert!(newer(
        &old.sessions.find(id, &Scope::All).await.unwrap_err()
    ));

    let alice = login_id("alice");
    let profile = NewProfile {
        details: UserDetails::parse(b"{}").unwrap(),
        ttl: MINUTE,
        stale_for: HOUR,
    };
    let put = new.profiles.put_profile(&alice, profile).await;
    put.unwrap();
    assert!(new.profiles.find_profile(&alice).await.unwrap().is_some());
    assert!(newer(&old.profiles.find_profile(&alice).await.unwrap_err()));
    let ban = NewBan {
        login_id: alice.clone(),
        until: None,
        reason: EndDetail::parse("spam").unwrap(),
    };
    new.sessions.ban(ban, &service("web")).await.unwrap();
    assert!(new.sessions.find_ban(&alice).await.unwrap().is_some());
    assert!(newer(&old.sessions.find_ban(&alice).await.unwrap_err()));

    // An answer is kept in a record of any format.
    new.idempotency.keep_answer(KEY, vec![1]).await.unwrap();
    let again = old.idempotency.claim(KEY, REQUEST, vec![]).await.unwrap();
    let sealed_answer = vec![1];
    assert_eq!(again, Claim::Done { sealed_answer });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_a_format_notes_it_again_where_the_note_may_be_lost() {
    let keyspace = Keyspace::own().await;
    let stores = keyspace.open_with(told(2)).await.unwrap();
    let server = keyspace.server();
    let is_noted = || {
        eventually(DEADLINE, || async {
            let noted = server.try_ask::<String>("GET sgw:{services}:f").await;
            noted.is_ok_and(|noted| noted == "2")
        })
    };
    is_noted().await;
    refused(&keyspace, up_to(1)).await;
    server.ask::<()>("DEL sgw:{services}:f").await;
    // The same master goes on with another history.
    server.ask::<()>("REPLICAOF 127.0.0.1 1").await;
    server.ask::<()>("REPLICAOF NO ONE").await;
    is_noted().await;
    drop(stores);
}
