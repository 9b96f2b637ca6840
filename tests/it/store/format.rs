//! What is on the disk: pinned to the byte, and left alone where a newer version wrote it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, TableDefinition};
use session_gateway::clock::SettableClock;
use session_gateway::model::id::SessionId;
use session_gateway::model::permission::Scope;
use session_gateway::model::session::{DeviceId, EndDetail, EndReason, Ended, UserAgent};
use session_gateway::model::session_token::{StoredToken, TokenOrigin};
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::end::EndAll;
use session_gateway::store::embedded::{EmbeddedStore, OpenError};
use session_gateway::store::{OpError, StoreError};
use tempfile::TempDir;

use super::audit;
use super::backend::{
    Backend, IDLE, SETTINGS, START, access, attribute, device, draft, login_id, merge, open_dir,
    target, value,
};
use super::endings::Endings;

type Table = TableDefinition<'static, &'static [u8; 16], &'static [u8]>;

const SESSIONS: Table = TableDefinition::new("sessions");
const TOMBSTONES: Table = TableDefinition::new("tombstones");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

fn open(dir: &TempDir) -> Backend {
    let clock = Arc::new(SettableClock::at(START));
    Backend::over(open_dir(dir.path(), &clock), clock)
}

fn bare(dir: &TempDir) -> Database {
    Database::open(dir.path().join("sessions.redb")).unwrap()
}

fn stored(dir: &TempDir, session_id: SessionId) -> Vec<u8> {
    row(dir, SESSIONS, session_id)
}

fn row(dir: &TempDir, table: Table, session_id: SessionId) -> Vec<u8> {
    let db = bare(dir);
    let read = db.begin_read().unwrap();
    let rows = read.open_table(table).unwrap();
    let row = rows.get(session_id.as_bytes()).unwrap().unwrap();
    row.value().to_vec()
}

/// Overwrites a record behind the store's back.
fn overwrite(dir: &TempDir, session_id: SessionId, bytes: &[u8]) {
    write_row(dir, SESSIONS, session_id, bytes);
}

fn write_row(dir: &TempDir, table: Table, session_id: SessionId, bytes: &[u8]) {
    let db = bare(dir);
    let write = db.begin_write().unwrap();
    let mut rows = write.open_table(table).unwrap();
    rows.insert(session_id.as_bytes(), bytes).unwrap();
    drop(rows);
    write.commit().unwrap();
}

/// A change of these bytes is a change of the format: records that are on disks today would not be read any more.
const GOLDEN: &str = concat!(
    "02100707070707070707070707070707070705616c696365036170690103696f73010570686f6e65",
    "0100010120010db800000000000000000000000101bb0301066375726c2f38000104726f6c650d7b",
    "2261223a5b31653430305d7d000180c0e285e36880c0e285e368809dbe87e368809dbe87e36880b0",
    "95d8e368880e003c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e001",
    "00809dbe87e368",
);

/// The same in format 1, and the tombstone of the session in it.
const FORMAT_1: &str = concat!(
    "01100707070707070707070707070707070705616c696365036170690103696f73010570686f6e65",
    "0100010120010db800000000000000000000000101bb0301066375726c2f38000104726f6c650d7b",
    "2261223a5b31653430305d7d000180c0e285e36880c0e285e368809dbe87e368809dbe87e36880b0",
    "95d8e368880e003c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e001",
    "809dbe87e368",
);

fn hex(bytes: &[u8]) -> String {
    let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
    hex.collect::<Vec<_>>().concat()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The session whose record is golden.
fn golden() -> NewSession {
    NewSession {
        session_id: SessionId::from_bytes([7; 16]),
        token: StoredToken {
            hash: CredentialHash::of(b"token"),
            origin: TokenOrigin::Caller,
        },
        attributes: [(attribute("role"), value(r#"{"a":[1e400]}"#))]
            .into_iter()
            .collect(),
        device: Some(device("ios")),
        device_id: Some(DeviceId::parse("phone").unwrap()),
        client_ip: Some("2001:db8::1".parse().unwrap()),
        client_port: Some(443),
        user_agent: Some(UserAgent::parse("curl/8").unwrap()),
        ..draft("alice")
    }
}

#[tokio::test]
async fn a_stored_session_has_exactly_these_bytes() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    let new = golden();
    b.create(new.clone()).await;
    drop(b);
    assert_eq!(hex(&stored(&dir, new.session_id)), GOLDEN);
}

#[tokio::test]
async fn records_of_format_1_are_read_and_written_anew() {
    let dir = TempDir::new().unwrap();
    let new = golden();
    let b = open(&dir);
    let session = b.create(new.clone()).await.session;
    drop(b);
    overwrite(&dir, new.session_id, &bytes(FORMAT_1));
    let b = open(&dir);
    assert_eq!(b.live(new.session_id).await, session);
    b.put(new.session_id, "seen", "1").await;
    b.end(new.session_id).await;
    let ended = b.ended(new.session_id).await;
    drop(b);
    let tombstone = row(&dir, TOMBSTONES, new.session_id);
    let (format, body) = tombstone.split_first().unwrap();
    let (nothing, body) = body.split_last().unwrap();
    assert_eq!((format, nothing), (&2, &0));
    write_row(&dir, TOMBSTONES, new.session_id, &[&[1], body].concat());
    assert_eq!(open(&dir).ended(new.session_id).await, ended);
}

#[tokio::test]
async fn the_registration_of_its_service_follows_a_session_and_its_tombstone() {
    let dir = TempDir::new().unwrap();
    let new = NewSession {
        registration: Some(START),
        ..golden()
    };
    let b = open(&dir);
    b.create(new.clone()).await;
    drop(b);
    let moment = GOLDEN.strip_prefix("02").unwrap();
    let registration = "80c0e285e368";
    let with_registration = format!("04{moment}01{registration}00");
    assert_eq!(hex(&stored(&dir, new.session_id)), with_registration);
    let format_3 = format!("03{moment}{registration}");
    overwrite(&dir, new.session_id, &bytes(&format_3));
    let b = open(&dir);
    b.end(new.session_id).await;
    drop(b);
    let tombstone = hex(&row(&dir, TOMBSTONES, new.session_id));
    assert!(tombstone.starts_with("04"), "{tombstone}");
    assert!(
        tombstone.ends_with(&format!("0001{registration}")),
        "{tombstone}"
    );
}

#[tokio::test]
async fn what_was_said_about_an_ending_follows_its_tombstone() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    let session_id = b.open("alice").await.session_id;
    let which = EndAll {
        login_id: login_id("alice"),
        except: None,
        device: None,
        reason: EndReason::KickedOut,
        detail: Some(EndDetail::parse("spam").unwrap()),
    };
    let ended = b.stores.sessions.end_login(which, &access()).await;
    assert_eq!(ended.unwrap(), [session_id]);
    let ended = b.ended(session_id).await;
    drop(b);
    assert_eq!(open(&dir).ended(session_id).await, ended);
    let tombstone = row(&dir, TOMBSTONES, session_id);
    let body = tombstone.strip_prefix(&[4]).unwrap();
    let body = body.strip_suffix(b"\x01\x04spam\x00").unwrap();
    let format_3 = [&[3], body, b"\x04spam"].concat();
    write_row(&dir, TOMBSTONES, session_id, &format_3);
    assert_eq!(open(&dir).ended(session_id).await, ended);
    write_row(&dir, TOMBSTONES, session_id, &[&[2], body].concat());
    let nothing_said = Ended {
        detail: None,
        ..ended
    };
    assert_eq!(open(&dir).ended(session_id).await, nothing_said);
}

#[tokio::test]
async fn a_record_of_a_newer_format_is_refused_and_left_as_it_is() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    let session_id = b.open("alice").await.session_id;
    let other = b.open("bob").await.session_id;
    drop(b);
    let mut newer = stored(&dir, session_id);
    newer[0] = 5;
    overwrite(&dir, session_id, &newer);
    let b = open(&dir);
    let newer_format =
        |error: &StoreError| matches!(error, StoreError::NewerFormat { format: 5, .. });
    let found = b.stores.sessions.find(session_id, &Scope::All).await;
    assert!(newer_format(&found.unwrap_err()));
    let changed = b
        .stores
        .sessions
        .change(target(session_id), merge(&[("a", "1")]));
    let Err(OpError::Store(error)) = changed.await else {
        panic!("it cannot be written");
    };
    assert!(newer_format(&error));
    b.advance(IDLE);
    assert!(newer_format(&b.stores.sessions.sweep().await.unwrap_err()));
    b.ended(other).await;
    b.open("carol").await;
    drop(b);
    assert_eq!(stored(&dir, session_id), newer);
}

#[tokio::test]
async fn a_store_of_a_newer_format_is_refused_and_left_as_it_is() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    let session_id = b.open("alice").await.session_id;
    drop(b);
    let before = stored(&dir, session_id);
    let db = bare(&dir);
    let write = db.begin_write().unwrap();
    write.open_table(META).unwrap().insert("format", 2).unwrap();
    write.commit().unwrap();
    drop(db);
    let clock = Arc::new(SettableClock::at(START));
    let error = EmbeddedStore::open(dir.path(), SETTINGS, clock).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found: 2, .. }));
    assert_eq!(
        error.to_string(),
        "the store was written by a newer version: it has format 2, this version knows 1"
    );
    assert_eq!(stored(&dir, session_id), before);
}

#[tokio::test]
async fn a_file_of_the_first_version_gets_the_tables_it_lacks() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    let session_id = b.open("alice").await.session_id;
    drop(b);
    let db = bare(&dir);
    let write = db.begin_write().unwrap();
    for name in ["bans", "profiles"] {
        let table = TableDefinition::<&[u8; 16], &[u8]>::new(name);
        assert!(write.delete_table(table).unwrap());
    }
    let table = TableDefinition::<&str, u64>::new("throttles");
    assert!(write.delete_table(table).unwrap());
    write.commit().unwrap();
    drop(db);
    let b = open(&dir);
    b.live(session_id).await;
    let found = b.stores.sessions.find_ban(&login_id("alice")).await;
    assert_eq!(found.unwrap(), None);
    let found = b.stores.profiles.find_profile(&login_id("alice")).await;
    assert_eq!(found.unwrap(), None);
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let found = b.stores.throttles.throttled(address).await;
    assert_eq!(found.unwrap(), None);
}

/// What a version that counts no owners has written is counted when the file is opened.
#[tokio::test]
async fn owners_are_counted_again_after_another_version_has_written() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    b.open("alice").await;
    drop(b);
    let owners = TableDefinition::<&str, u64>::new("owners");
    for without in [true, false] {
        let db = bare(&dir);
        let write = db.begin_write().unwrap();
        if without {
            assert!(write.delete_table(owners).unwrap());
            let mut meta = write.open_table(META).unwrap();
            meta.remove("owners_at").unwrap();
        } else {
            write.open_table(owners).unwrap().insert(" web", 7).unwrap();
            write
                .open_table(META)
                .unwrap()
                .insert("owners_at", 1)
                .unwrap();
        }
        write.commit().unwrap();
        drop(db);
        let b = open(&dir);
        b.open("alice").await;
        let owned = b.stores.stats.owned().await.unwrap();
        let counts: Vec<u64> = owned.into_values().collect();
        assert_eq!(counts, [if without { 2 } else { 3 }]);
        drop(b);
        audit::check(&bare(&dir));
    }
}

#[tokio::test]
async fn a_damaged_record_is_an_error_and_not_no_session() {
    for damage in [0, 1, 10] {
        let dir = TempDir::new().unwrap();
        let b = open(&dir);
        let session_id = b.open("alice").await.session_id;
        drop(b);
        let whole = stored(&dir, session_id);
        overwrite(&dir, session_id, &whole[..damage]);
        let b = open(&dir);
        let found = b.stores.sessions.find(session_id, &Scope::All).await;
        assert!(matches!(found, Err(StoreError::Corrupt { .. })));
        b.open("bob").await;
    }
}

#[tokio::test]
async fn an_operation_that_fails_half_way_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    let first = b.open("alice").await.session_id;
    let damaged = b.open("alice").await.session_id;
    drop(b);
    overwrite(&dir, damaged, &[1]);
    let b = open(&dir);
    let which = EndAll {
        login_id: login_id("alice"),
        except: None,
        device: None,
        reason: EndReason::Admin,
        detail: None,
    };
    let ended = b.stores.sessions.end_login(which, &access()).await;
    assert!(
        matches!(ended, Err(StoreError::Corrupt { .. })),
        "{ended:?}"
    );
    b.live(first).await;
    assert_eq!(b.feed().await.len(), 2);
    b.open("bob").await;
}

#[tokio::test]
async fn a_record_under_another_key_is_nobodys_session() {
    let dir = TempDir::new().unwrap();
    let b = open(&dir);
    let (alice, bob) = (
        b.open("alice").await.session_id,
        b.open("bob").await.session_id,
    );
    drop(b);
    let of_bob = stored(&dir, bob);
    overwrite(&dir, alice, &of_bob);
    let found = open(&dir).stores.sessions.find(alice, &Scope::All).await;
    assert!(matches!(found, Err(StoreError::Corrupt { .. })));
}
