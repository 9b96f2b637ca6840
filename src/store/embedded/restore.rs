//! Fills an empty store from a backup, whole or not at all: in one transaction, which is committed when the last line has
//! confirmed all others.

use std::io::BufRead;

use redb::ReadableTableMetadata;
use thiserror::Error;

use super::open_error::OpenError;
use super::record::decode;
use super::stored::{StoredEvent, StoredSession};
use super::tables::{Hash, kind, meta};
use super::txn::Txn;
use super::{Shared, bulk, profiles};
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{ServiceId, SessionId};
use crate::model::keyring::Keyring;
use crate::model::login::Ban;
use crate::model::permission::Scope;
use crate::model::request::{Access, OperationId};
use crate::model::service::ServiceRecord;
use crate::model::session::{EndReason, Tombstone};
use crate::rules::Kept;
use crate::rules::end::EndBatch;
use crate::rules::idempotency::IdempotencyRecord;
use crate::rules::operation::OperationRecord;
use crate::rules::profiles::ProfileRecord;
use crate::store::backup::{BackupFault, BackupReader, BackupRecord, RecordKind};
use crate::store::{Cause, StoreError};
use crate::telemetry::log::with_causes;

/// Sessions that are ended at a time, as all of them at once would be in memory.
const STEP: usize = 200;

/// What becomes of the sessions that lived when the backup was made. Those that ended after it are among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoredSessions {
    /// They live as they did.
    Live,
    /// They end, each with its event.
    End,
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The moment that it is of.
    pub at: Timestamp,
    /// How many records.
    pub records: u64,
    /// How many of them are sessions that were not over in the backup.
    pub sessions: u64,
}

/// Why nothing was restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Something is stored there.
    #[error("the store is not empty; restore fills a new one, before a gateway has started on it")]
    NotEmpty,
    /// The backup cannot be relied on.
    #[error(transparent)]
    Backup(#[from] BackupFault),
    /// The new store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new store fails.
    #[error("{}", with_causes(.0))]
    Store(#[from] StoreError),
    /// So does its engine.
    #[error("the store fails: {0}")]
    Engine(#[source] Cause),
}

impl RestoreError {
    fn engine(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<redb::StorageError> for RestoreError {
    fn from(error: redb::StorageError) -> Self {
        Self::engine(error)
    }
}

pub(super) fn restore(
    shared: &Shared,
    backup: &mut impl BufRead,
    sessions: RestoredSessions,
) -> Result<Restored, RestoreError> {
    let mut backup = BackupReader::begin(backup)?;
    let mut write = shared.engine.begin_write()?;
    write.set_quick_repair(true);
    let ids = {
        let mut txn = Txn::open(&write, shared)?;
        if !is_empty(&txn)? {
            return Err(RestoreError::NotEmpty);
        }
        fill(&mut txn, &mut backup)?
    };
    if sessions == RestoredSessions::End {
        // Opened anew, it goes on with the feed behind the events that were restored.
        let mut txn = Txn::open(&write, shared)?;
        txn.begin_job();
        for step in ids.chunks(STEP) {
            bulk::end_these(&mut txn, step.to_vec(), &everything())?;
        }
    }
    write.commit().map_err(RestoreError::engine)?;
    Ok(Restored {
        at: backup.at(),
        records: backup.records(),
        sessions: ids.len() as u64,
    })
}

fn is_empty(txn: &Txn<'_>) -> Result<bool, RestoreError> {
    Ok(txn.sessions.is_empty()?
        && txn.tombstones.is_empty()?
        && txn.events.is_empty()?
        && txn.services.is_empty()?
        && txn.bans.is_empty()?
        && txn.profiles.is_empty()?)
}

fn everything() -> EndBatch {
    EndBatch {
        filter: SessionFilter::default(),
        access: Access {
            service_id: ServiceId::admin(),
            scope: Scope::All,
        },
        except: None,
        reason: EndReason::Admin,
        detail: None,
    }
}

/// Puts every record in its place, and answers with the sessions.
fn fill(
    txn: &mut Txn<'_>,
    backup: &mut BackupReader<impl BufRead>,
) -> Result<Vec<SessionId>, RestoreError> {
    let mut ids = Vec::new();
    while let Some(record) = backup.next_record()? {
        match put(txn, &record)? {
            Put::Session(id) => ids.push(id),
            Put::Other => {}
            Put::BadKey => return Err(backup.wrong("has no key of its kind").into()),
        }
    }
    Ok(ids)
}

enum Put {
    Session(SessionId),
    Other,
    BadKey,
}

/// Puts a record in its place, with every index that follows from it.
fn put(txn: &mut Txn<'_>, record: &BackupRecord) -> Result<Put, RestoreError> {
    let BackupRecord { kind, key, value } = record;
    let kind = *kind;
    match kind {
        RecordKind::Session => {
            let stored: StoredSession = decode(value)?;
            let id = stored.record.session.session_id;
            txn.restore_session(stored.record)?;
            return Ok(Put::Session(id));
        }
        RecordKind::Tombstone => {
            let kept: Kept<Tombstone> = decode(value)?;
            txn.restore_tombstone(&kept)?;
        }
        RecordKind::Ban => txn.put_ban(&decode::<Ban>(value)?)?,
        RecordKind::Profile => profiles::put(txn, &decode::<ProfileRecord>(value)?)?,
        RecordKind::Service | RecordKind::Keyring | RecordKind::Throttle => {
            return put_named(txn, kind, key, value);
        }
        RecordKind::Event | RecordKind::Trimmed => return put_numbered(txn, kind, key, value),
        RecordKind::Claim | RecordKind::Operation => return put_hashed(txn, kind, key, value),
    }
    Ok(Put::Other)
}

fn put_named(
    txn: &mut Txn<'_>,
    kind: RecordKind,
    key: &[u8],
    value: &[u8],
) -> Result<Put, RestoreError> {
    let Ok(name) = str::from_utf8(key) else {
        return Ok(Put::BadKey);
    };
    if kind == RecordKind::Service {
        decode::<ServiceRecord>(value)?;
        txn.services.insert(name, value)?;
    } else if kind == RecordKind::Keyring {
        decode::<Keyring>(value)?;
        txn.keys.insert(name, value)?;
    } else {
        let Ok(until) = value.try_into().map(u64::from_be_bytes) else {
            return Ok(Put::BadKey);
        };
        txn.throttles.insert(name, until)?;
        txn.purge.insert((until, kind::THROTTLE, key), ())?;
    }
    Ok(Put::Other)
}

fn put_numbered(
    txn: &mut Txn<'_>,
    kind: RecordKind,
    key: &[u8],
    value: &[u8],
) -> Result<Put, RestoreError> {
    let number = if kind == RecordKind::Event {
        key
    } else {
        value
    };
    let Ok(number) = number.try_into().map(u64::from_be_bytes) else {
        return Ok(Put::BadKey);
    };
    if kind == RecordKind::Event {
        decode::<StoredEvent>(value)?;
        txn.events.insert(number, value)?;
    } else {
        txn.meta.insert(meta::TRIMMED, number)?;
    }
    Ok(Put::Other)
}

fn put_hashed(
    txn: &mut Txn<'_>,
    kind: RecordKind,
    key: &[u8],
    value: &[u8],
) -> Result<Put, RestoreError> {
    let Ok(hash) = <&Hash>::try_from(key) else {
        return Ok(Put::BadKey);
    };
    if kind == RecordKind::Operation {
        let kept: Kept<OperationRecord> = decode(value)?;
        txn.keep_operation(OperationId(*hash), &kept)?;
    } else {
        let record: IdempotencyRecord = decode(value)?;
        txn.claims.insert(hash, value)?;
        let entry = (record.until.sort_key(), kind::CLAIM, key);
        txn.purge.insert(entry, ())?;
    }
    Ok(Put::Other)
}
