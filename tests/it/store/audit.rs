//! The invariants of what is stored, checked on the bare tables: records, indexes and feed tell the same.

use std::collections::BTreeMap;

use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, Value,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use session_gateway::model::Timestamp;
use session_gateway::model::event::{Change, Fact};
use session_gateway::model::id::SessionId;
use session_gateway::model::login::Ban;
use session_gateway::model::record::SessionRecord;
use session_gateway::model::session::{EndDetail, Tombstone};
use session_gateway::model::session_token::FormerTokens;
use session_gateway::model::session_token::{StoredToken, TokenOrigin};
use sha2::{Digest, Sha256};

type Id = [u8; 16];
type Hash = [u8; 32];

/// As it is stored behind the byte of its format.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredSession {
    pub(crate) record: SessionRecord,
    pub(crate) indexed_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Kept<T> {
    until: Timestamp,
    value: T,
}

#[derive(Debug, Deserialize)]
struct StoredEvent {
    appended_at: Timestamp,
    fact: Fact,
}

fn rows<K, V, T>(
    read: &ReadTransaction,
    name: &str,
    row: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> T,
) -> Vec<T>
where
    K: Key + 'static,
    V: Value + 'static,
{
    let table = read.open_table(TableDefinition::<K, V>::new(name)).unwrap();
    let rows = table.iter().unwrap().map(Result::unwrap);
    rows.map(|(key, value)| row(key.value(), value.value()))
        .collect()
}

fn records<T: DeserializeOwned, B: DeserializeOwned>(
    read: &ReadTransaction,
    name: &str,
    formats: [u8; 2],
) -> BTreeMap<Id, T> {
    let decode = |id: &Id, bytes: &[u8]| (*id, decode::<T, B>(formats, bytes));
    rows::<&Id, &[u8], _>(read, name, decode)
        .into_iter()
        .collect()
}

/// Reads a record of the first of these formats, or of the second one: then something is stored beside it.
fn decode<T: DeserializeOwned, B: DeserializeOwned>(formats: [u8; 2], bytes: &[u8]) -> T {
    let (record, rest) = postcard::take_from_bytes(&bytes[1..]).unwrap();
    if bytes[0] == formats[0] {
        assert!(rest.is_empty(), "bytes follow a record");
    } else {
        assert_eq!(bytes[0], formats[1], "the format of the record");
        let _: B = postcard::from_bytes(rest).unwrap();
    }
    record
}

/// Fails if anything in the file contradicts anything else.
pub(crate) fn check(db: &Database) {
    let read = db.begin_read().unwrap();
    let sessions = records::<StoredSession, (Option<Timestamp>, bool)>(&read, "sessions", [2, 4]);
    let tombstones = records::<Kept<Tombstone>, (Option<EndDetail>, Option<Timestamp>)>(
        &read,
        "tombstones",
        [2, 4],
    );
    check_indexes(&read, &sessions);
    check_owners(&read);
    check_tokens(&read, &sessions, &tombstones);
    check_purge(&read, &tombstones);
    check_bans(&read);
    check_profiles(&read);
    check_throttles(&read);
    check_feed(&read, &sessions, &tombstones);
}

fn check_indexes(read: &ReadTransaction, sessions: &BTreeMap<Id, StoredSession>) {
    let logins = rows::<(&Id, &Id), (), _>(read, "logins", |(login, id), ()| (*id, *login));
    let expiry = rows::<(u64, &Id), (), _>(read, "expiry", |(at, id), ()| (*id, at));
    assert_eq!(logins.len(), sessions.len(), "entries of the login index");
    assert_eq!(expiry.len(), sessions.len(), "entries of the expiry index");
    let logins: BTreeMap<_, _> = logins.into_iter().collect();
    let expiry: BTreeMap<_, _> = expiry.into_iter().collect();
    for (id, stored) in sessions {
        let session = &stored.record.session;
        assert_eq!(session.session_id.as_bytes(), id, "the key of a record");
        let login = Sha256::digest(session.login_id.as_str());
        assert_eq!(
            logins[id],
            login[..16],
            "the login of {}",
            session.session_id
        );
        assert_eq!(expiry[id], stored.indexed_at.sort_key());
        assert!(stored.indexed_at <= session.expires_at, "swept too late");
        assert!(session.expires_at <= session.max_expires_at);
        assert!(session.version >= 1);
    }
}

/// The counts are those of the records, and know of the last event.
fn check_owners(read: &ReadTransaction) {
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let owners = rows::<&Id, &[u8], _>(read, "sessions", |_, bytes| {
        let (stored, beside) = postcard::take_from_bytes::<StoredSession>(&bytes[1..]).unwrap();
        let beside = postcard::from_bytes::<(Option<Timestamp>, bool)>(beside).ok();
        let registration = beside.and_then(|(registration, _)| registration);
        let registration = registration.map(|at| at.millis().to_string());
        let service_id = stored.record.session.service_id;
        format!("{} {service_id}", registration.unwrap_or_default())
    });
    for owner in owners {
        *expected.entry(owner).or_default() += 1;
    }
    let counts = rows::<&str, u64, _>(read, "owners", |owner, count| (owner.to_owned(), count));
    assert_eq!(counts.into_iter().collect::<BTreeMap<_, _>>(), expected);
    let meta = rows::<&str, u64, _>(read, "meta", |name, value| (name.to_owned(), value));
    let meta: BTreeMap<_, _> = meta.into_iter().collect();
    let last = rows::<u64, &[u8], _>(read, "events", |number, _| number);
    let trimmed = meta.get("events_trimmed").copied().unwrap_or(0);
    let last = last.into_iter().max().unwrap_or(0).max(trimmed);
    assert_eq!(meta.get("owners_at").copied().unwrap_or(0), last);
}

fn check_tokens(
    read: &ReadTransaction,
    sessions: &BTreeMap<Id, StoredSession>,
    tombstones: &BTreeMap<Id, Kept<Tombstone>>,
) {
    let live = sessions.iter().map(|(id, stored)| {
        let record = &stored.record;
        let former = record.rotation.as_ref().map(|rotation| &rotation.former);
        (id, record.token, former)
    });
    let ended = tombstones
        .iter()
        .map(|(id, kept)| (id, kept.value.token, kept.value.former.as_ref()));
    let expected: BTreeMap<Hash, Id> = live
        .chain(ended)
        .filter_map(|(id, token, former)| Some((brought(token, former)?, *id)))
        .collect();
    let tokens = rows::<&Hash, &Id, _>(read, "tokens", |hash, id| (*hash, *id));
    assert_eq!(tokens.into_iter().collect::<BTreeMap<_, _>>(), expected);
    for id in tombstones.keys() {
        assert!(!sessions.contains_key(id), "an ended session is live");
    }
}

/// The token among those of a session that leads to it by an index.
fn brought(token: StoredToken, former: Option<&FormerTokens>) -> Option<Hash> {
    let hash = match token.origin {
        TokenOrigin::Caller => Some(token.hash),
        TokenOrigin::Gateway => former.and_then(|former| former.external),
    };
    if let Some(former) = former {
        assert!((1..=FormerTokens::MOST).contains(&former.last.len()));
        let previous = former.last.last().unwrap();
        assert!(former.previous.as_bytes().starts_with(&previous.mark));
        assert_eq!(
            token.origin,
            TokenOrigin::Gateway,
            "rotated into no own token"
        );
    }
    hash.map(|hash| *hash.as_bytes())
}

fn check_purge(read: &ReadTransaction, tombstones: &BTreeMap<Id, Kept<Tombstone>>) {
    let purge = rows::<(u64, u8, &[u8]), (), _>(read, "purge", |(at, kind, key), ()| {
        (kind, key.to_vec(), at)
    });
    let of_tombstones = purge.iter().filter(|(kind, ..)| *kind == 0).count();
    assert_eq!(of_tombstones, tombstones.len(), "tombstones to be purged");
    for (id, kept) in tombstones {
        let entry = (0, id.to_vec(), kept.until.sort_key());
        assert!(purge.contains(&entry), "a tombstone that is never purged");
    }
    for (kind, name) in [(1, "marks"), (2, "claims")] {
        for key in rows::<&Hash, &[u8], _>(read, name, |key, _| key.to_vec()) {
            let kept = purge.iter().any(|entry| entry.0 == kind && entry.1 == key);
            assert!(kept, "one of the {name} is never purged");
        }
    }
}

fn check_bans(read: &ReadTransaction) {
    let purge = rows::<(u64, u8, &[u8]), (), _>(read, "purge", |(at, kind, key), ()| {
        (kind, key.to_vec(), at)
    });
    for (login, ban) in records::<Ban, ()>(read, "bans", [1, 1]) {
        let digest = Sha256::digest(ban.login_id.as_str());
        assert_eq!(login, digest[..16], "the key of a ban");
        if let Some(until) = ban.until {
            let entry = (3, login.to_vec(), until.sort_key());
            assert!(purge.contains(&entry), "a ban that is never purged");
        }
    }
}

/// Each has exactly one time at which it goes.
fn check_profiles(read: &ReadTransaction) {
    let purge =
        rows::<(u64, u8, &[u8]), (), _>(read, "purge", |(_, kind, key), ()| (kind, key.to_vec()));
    let purged = purge.into_iter().filter(|(kind, _)| *kind == 4);
    let mut purged: Vec<_> = purged.map(|(_, key)| key).collect();
    purged.sort();
    let logins = rows::<&Id, &[u8], _>(read, "profiles", |login, _| login.to_vec());
    assert_eq!(logins, purged, "profiles to be purged");
}

/// Each has a time at which it goes.
fn check_throttles(read: &ReadTransaction) {
    let purge = rows::<(u64, u8, &[u8]), (), _>(read, "purge", |(at, kind, key), ()| {
        (kind, key.to_vec(), at)
    });
    for (network, until) in rows::<&str, u64, _>(read, "throttles", |network, until| {
        (network.as_bytes().to_vec(), until)
    }) {
        let entry = (5, network, until);
        assert!(purge.contains(&entry), "a throttle that is never purged");
    }
}

/// Exactly one creation, at most one ending and nothing after it, versions that only grow.
fn check_feed(
    read: &ReadTransaction,
    sessions: &BTreeMap<Id, StoredSession>,
    tombstones: &BTreeMap<Id, Kept<Tombstone>>,
) {
    let meta = rows::<&str, u64, _>(read, "meta", |key, value| (key.to_owned(), value));
    let trimmed = meta.iter().find(|(key, _)| key == "events_trimmed");
    let trimmed = trimmed.map_or(0, |(_, number)| *number);
    let events = rows::<u64, &[u8], StoredEventAt>(read, "events", |number, bytes| {
        (number, decode::<StoredEvent, EndDetail>([1, 2], bytes))
    });
    let mut appended = Timestamp::from_millis(0);
    let mut stories: BTreeMap<SessionId, Vec<&Change>> = BTreeMap::new();
    for (expected, (number, event)) in (trimmed + 1..).zip(&events) {
        assert_eq!(*number, expected, "the feed has a gap");
        assert!(event.appended_at >= appended && event.fact.at <= event.appended_at);
        appended = event.appended_at;
        if let Some(session_id) = event.fact.session_id {
            stories
                .entry(session_id)
                .or_default()
                .push(&event.fact.change);
        }
    }
    if trimmed > 0 {
        return;
    }
    for (session_id, story) in &stories {
        check_story(story);
        let ended = matches!(story.last(), Some(Change::SessionEnded { .. }));
        let live = sessions.contains_key(session_id.as_bytes());
        assert_eq!(live, !ended, "{session_id} is stored and told otherwise");
    }
    for id in sessions.keys().chain(tombstones.keys()) {
        assert!(stories.contains_key(&SessionId::from_bytes(*id)));
    }
}

type StoredEventAt = (u64, StoredEvent);

fn check_story(story: &[&Change]) {
    let mut last_version = 1;
    for (position, change) in story.iter().enumerate() {
        match change {
            Change::SessionCreated { .. } => assert_eq!(position, 0, "created late or twice"),
            Change::SessionChanged {
                version, fields, ..
            } => {
                assert_ne!(position, 0, "changed before it was created");
                let grows = u64::from(fields != &["expires_at"]);
                assert_eq!(*version, last_version + grows, "a version is missing");
                last_version = *version;
            }
            Change::SessionEnded { .. } => {
                assert_ne!(position, 0, "ended before it was created");
                assert_eq!(position, story.len() - 1, "told of after its end");
            }
            Change::SessionRotated { .. } => assert_ne!(position, 0, "rotated before its creation"),
            Change::ServiceChanged { .. }
            | Change::LoginBanned { .. }
            | Change::LoginUnbanned { .. } => panic!("this is not about a session"),
        }
    }
}
