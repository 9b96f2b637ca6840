//! Whether a file is sound: the pages as the storage engine judges them, every record, and that indexes and records tell
//! the same. The file is not written to.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, Key, ReadTransaction, ReadableDatabase, ReadableTable,
    TableDefinition, Value,
};

use super::open::{FILE, at, contained, of_file};
use super::open_error::{OpenError, engine};
use super::overlay::Overlay;
use super::record::{Stored, decode};
use super::stored::{StoredEvent, StoredSession};
use super::tables::{
    BANS, Bytes, CLAIMS, EVENTS, EXPIRY, Id, KEYS, LOGINS, OPERATION_IDS, PROFILES, PURGE,
    SERVICES, SESSIONS, THROTTLES, TOKENS, TOMBSTONES, kind, login_key,
};
use crate::model::keyring::Keyring;
use crate::model::login::Ban;
use crate::model::service::ServiceRecord;
use crate::model::session::Tombstone;
use crate::model::session_token::TokenOrigin;
use crate::rules::Kept;
use crate::rules::idempotency::IdempotencyRecord;
use crate::rules::operation::OperationRecord;
use crate::rules::profiles::ProfileRecord;
use crate::telemetry::log::with_causes;
use crate::telemetry::panics::contain;

/// Faults that are told one by one.
const TOLD: usize = 20;

/// What a file was found to be.
#[derive(Debug, Default)]
pub struct Checkup {
    /// The file.
    pub file: PathBuf,
    /// How many of each kind can be read.
    pub counts: Vec<(&'static str, u64)>,
    /// What is wrong, as far as it is told one by one.
    pub told: Vec<String>,
    /// How much is wrong.
    pub faults: u64,
}

impl Checkup {
    fn fault(&mut self, what: impl FnOnce() -> String) {
        self.faults += 1;
        if self.told.len() < TOLD {
            self.told.push(what());
        }
    }
}

/// Looks at the file in `dir`, which nobody may have open.
pub(super) fn check(dir: &Path) -> Result<Checkup, OpenError> {
    let path = dir.join(FILE);
    let mut checkup = Checkup {
        file: path.clone(),
        ..Checkup::default()
    };
    let mut db = match contained(|| database(&path)).map_err(of_file(&path)) {
        Ok(db) => db,
        Err(OpenError::File { source, .. }) => {
            checkup.fault(|| format!("nothing of it can be read: {source}"));
            return Ok(checkup);
        }
        Err(error) => return Err(error),
    };
    check_pages(&mut db, &mut checkup);
    // What the engine has mended in memory may be read further than the file itself.
    match contain(|| db.begin_read()) {
        Ok(Ok(read)) => check_records(&read, &mut checkup),
        Ok(Err(error)) => checkup.fault(|| with_causes(&error)),
        Err(panic) => checkup.fault(|| panic.to_string()),
    }
    // What is left half done by a panic may panic again, and nobody wants to know.
    drop(contain(|| drop(db)));
    Ok(checkup)
}

fn database(path: &Path) -> Result<Database, OpenError> {
    // The engine locks what it opens, which takes a file that could be written to.
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .open(path)
        .map_err(at(path))?;
    let file = FileBackend::new(file).map_err(engine)?;
    let overlay = Overlay::over(file).map_err(at(path))?;
    match Builder::new().create_with_backend(overlay) {
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(OpenError::InUse { path: path.into() }),
        opened => opened.map_err(engine),
    }
}

fn check_pages(db: &mut Database, checkup: &mut Checkup) {
    match contain(|| db.check_integrity()) {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => checkup.fault(|| "pages do not have what their checksums say".to_owned()),
        Ok(Err(error)) => checkup.fault(|| format!("pages: {}", with_causes(&error))),
        Err(panic) => checkup.fault(|| format!("pages: {panic}")),
    }
}

fn check_records(read: &ReadTransaction, checkup: &mut Checkup) {
    records::<_, StoredSession>(read, checkup, "sessions", SESSIONS, |id, stored| {
        session(read, id, stored)
    });
    records::<_, Kept<Tombstone>>(read, checkup, "tombstones", TOMBSTONES, |id, kept| {
        tombstone(read, id, kept)
    });
    rows(read, checkup, "entries of logins", LOGINS, |(_, id), ()| {
        is_there(
            read,
            SESSIONS,
            id,
            "a login leads to a session that is not there",
        )
    });
    rows(read, checkup, "entries of expiry", EXPIRY, |(_, id), ()| {
        is_there(
            read,
            SESSIONS,
            id,
            "an expiry is of a session that is not there",
        )
    });
    rows(read, checkup, "tokens of callers", TOKENS, |_, id| {
        let live = is_there(read, SESSIONS, id, "")?;
        let ended = is_there(read, TOMBSTONES, id, "")?;
        Ok(live
            .and(ended)
            .map(|_| "a token leads to a session that is not there"))
    });
    records::<_, StoredEvent>(read, checkup, "events", EVENTS, |_, _| Ok(None));
    records::<_, ServiceRecord>(read, checkup, "services", SERVICES, |_, _| Ok(None));
    records::<_, Ban>(read, checkup, "bans", BANS, |login, ban| {
        Ok((*login != login_key(&ban.login_id)).then_some("a ban is under another login"))
    });
    records::<_, ProfileRecord>(read, checkup, "profiles", PROFILES, |login, profile| {
        Ok((*login != login_key(&profile.login_id)).then_some("a profile is under another login"))
    });
    records::<_, Keyring>(read, checkup, "keyrings", KEYS, |_, _| Ok(None));
    records::<_, IdempotencyRecord>(read, checkup, "idempotency keys", CLAIMS, |_, _| Ok(None));
    records::<_, Kept<OperationRecord>>(read, checkup, "operations", OPERATION_IDS, |_, _| {
        Ok(None)
    });
    rows(read, checkup, "throttles", THROTTLES, |_, _| Ok(None));
    rows(read, checkup, "entries of purge", PURGE, |_, ()| Ok(None));
}

/// What is wrong with a row, if something is.
type Judged = Result<Option<&'static str>, redb::Error>;

/// Reads a whole table. One of which no more can be read counts as one fault.
fn rows<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    checkup: &mut Checkup,
    name: &'static str,
    table: TableDefinition<'_, K, V>,
    judge: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> Judged,
) {
    let mut count = 0;
    let walked = contain(|| -> Result<(), redb::Error> {
        for row in read.open_table(table)?.iter()? {
            let (key, value) = row?;
            match judge(key.value(), value.value())? {
                None => count += 1,
                Some(wrong) => checkup.fault(|| format!("{name}: {wrong}")),
            }
        }
        Ok(())
    });
    match walked {
        Ok(Ok(()) | Err(redb::Error::TableDoesNotExist(_))) => {}
        Ok(Err(error)) => checkup.fault(|| format!("{name}: {}", with_causes(&error))),
        Err(panic) => checkup.fault(|| format!("{name}: {panic}")),
    }
    checkup.counts.push((name, count));
}

/// Reads a whole table of records.
fn records<K: Key + 'static, T: Stored>(
    read: &ReadTransaction,
    checkup: &mut Checkup,
    name: &'static str,
    table: TableDefinition<'_, K, Bytes>,
    judge: impl Fn(K::SelfType<'_>, &T) -> Judged,
) {
    rows(read, checkup, name, table, |key, bytes| {
        match decode::<T>(bytes) {
            Ok(record) => judge(key, &record),
            Err(_damaged) => Ok(Some("a record cannot be read")),
        }
    });
}

fn is_there<V: Value + 'static>(
    read: &ReadTransaction,
    table: TableDefinition<'_, &'static Id, V>,
    id: &Id,
    missing: &'static str,
) -> Judged {
    let found = read.open_table(table)?.get(id)?;
    Ok(found.is_none().then_some(missing))
}

fn session(read: &ReadTransaction, id: &Id, stored: &StoredSession) -> Judged {
    let session = &stored.record.session;
    if session.session_id.as_bytes() != id {
        return Ok(Some("a session is under another id"));
    }
    let login = login_key(&session.login_id);
    if read.open_table(LOGINS)?.get((&login, id))?.is_none() {
        return Ok(Some("a session is not among those of its login"));
    }
    let indexed_at = stored.indexed_at.sort_key();
    if read.open_table(EXPIRY)?.get((indexed_at, id))?.is_none() {
        return Ok(Some("a session is not where its expiry is looked for"));
    }
    let token = &stored.record.token;
    if token.origin == TokenOrigin::Caller {
        let led_to = read.open_table(TOKENS)?.get(token.hash.as_bytes())?;
        if led_to.is_none_or(|led_to| led_to.value() != id) {
            return Ok(Some("a token does not lead to its session"));
        }
    }
    Ok(None)
}

fn tombstone(read: &ReadTransaction, id: &Id, kept: &Kept<Tombstone>) -> Judged {
    if kept.value.session_id.as_bytes() != id {
        return Ok(Some("a tombstone is under another id"));
    }
    let entry = (kept.until.sort_key(), kind::TOMBSTONE, id.as_slice());
    if read.open_table(PURGE)?.get(entry)?.is_none() {
        return Ok(Some("a tombstone would never go"));
    }
    let lives = read.open_table(SESSIONS)?.get(id)?.is_some();
    Ok(lives.then_some("a session is both live and ended"))
}
