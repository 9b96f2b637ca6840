//! Backups: one snapshot is read beside the writer, and handed on piece by piece. What the writer replaces meanwhile stays
//! in the file until it is done, so it gives up when the disk is full.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::record::{decode, encode};
use super::stored::StoredSession;
use super::tables::{
    BANS, CLAIMS, EVENTS, Hash, Id, KEYS, META, OPERATION_IDS, PROFILES, SERVICES, SESSIONS,
    THROTTLES, TOMBSTONES, meta,
};
use super::{EmbeddedStore, Shared, unavailable};
use crate::store::StoreError;
use crate::store::backup::{
    BACKUP_FORMAT, BackupLine, BackupPieces, BackupSource, RecordKind, told,
};
use crate::telemetry::log::with_causes;
use crate::telemetry::panics::contain;

/// Bytes that are handed on at once, at least, and how many pieces wait for who takes them.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 4;

#[async_trait]
impl BackupSource for EmbeddedStore {
    async fn back_up(&self) -> Result<BackupPieces, StoreError> {
        let turn = Arc::clone(&self.backups).try_acquire_owned();
        let turn = turn.map_err(|_one_is_being_made| StoreError::Overloaded)?;
        let shared = Arc::clone(&self.shared);
        let (pieces, taken) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let made = contain(|| make(&shared, &pieces));
            let made = made.unwrap_or_else(|panic| Err(Stopped::Failed(unavailable(panic))));
            if let Err(Stopped::Failed(error)) = made {
                tracing::warn!(error = with_causes(&error), "backup.failed");
                // Whoever took it may have left as well.
                drop(pieces.blocking_send(Err(error)));
            }
        });
        Ok(taken)
    }
}

/// Why a backup is not whole.
enum Stopped {
    Failed(StoreError),
    NobodyTakesIt,
}

impl<E: Into<StoreError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn make(shared: &Shared, pieces: &mpsc::Sender<Result<Bytes, StoreError>>) -> Result<(), Stopped> {
    let read = shared.read()?;
    let mut lines = Lines {
        shared,
        pieces,
        piece: Vec::with_capacity(2 * PIECE),
        so_far: Sha256::new(),
        records: 0,
    };
    lines.line(&BackupLine::Begin {
        format: BACKUP_FORMAT,
        at: shared.now(),
    })?;
    tables(&read, &mut lines)?;
    let sha256 = told(&lines.so_far);
    let records = lines.records;
    lines.line(&BackupLine::End { records, sha256 })?;
    lines.hand_on()
}

fn tables(read: &ReadTransaction, lines: &mut Lines<'_>) -> Result<(), Stopped> {
    use RecordKind as Kind;
    let text = |id: &str| id.as_bytes().to_vec();
    let id = |id: &Id| id.to_vec();
    let hash = |hash: &Hash| hash.to_vec();
    let number = |number: u64| number.to_be_bytes().to_vec();
    let whole = |_: &Shared, bytes: &[u8]| Ok(bytes.to_vec());
    lines.table(read, SERVICES, Kind::Service, text, whole)?;
    lines.table(read, KEYS, Kind::Keyring, text, whole)?;
    lines.table(read, BANS, Kind::Ban, id, whole)?;
    lines.table(read, PROFILES, Kind::Profile, id, whole)?;
    lines.table(read, SESSIONS, Kind::Session, id, used)?;
    lines.table(read, TOMBSTONES, Kind::Tombstone, id, whole)?;
    if let Some(trimmed) = read.open_table(META)?.get(meta::TRIMMED)? {
        let value = number(trimmed.value());
        lines.record(Kind::Trimmed, meta::TRIMMED.as_bytes(), &value)?;
    }
    lines.table(read, EVENTS, Kind::Event, number, whole)?;
    lines.table(read, CLAIMS, Kind::Claim, hash, whole)?;
    lines.table(read, OPERATION_IDS, Kind::Operation, hash, whole)?;
    lines.table(read, THROTTLES, Kind::Throttle, text, |_, until| {
        Ok(number(until))
    })
}

/// A session with the uses that are still to be written, and without where its expiry was looked for.
fn used(shared: &Shared, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut stored: StoredSession = decode(bytes)?;
    shared.activity.overlay(&mut stored.record);
    stored.indexed_at = stored.record.session.expires_at;
    encode(&stored)
}

struct Lines<'b> {
    shared: &'b Shared,
    pieces: &'b mpsc::Sender<Result<Bytes, StoreError>>,
    piece: Vec<u8>,
    so_far: Sha256,
    records: u64,
}

impl Lines<'_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        read: &ReadTransaction,
        table: TableDefinition<'_, K, V>,
        kind: RecordKind,
        key: impl Fn(K::SelfType<'_>) -> Vec<u8>,
        value: impl Fn(&Shared, V::SelfType<'_>) -> Result<Vec<u8>, StoreError>,
    ) -> Result<(), Stopped> {
        for row in read.open_table(table)?.iter()? {
            let (row_key, row_value) = row?;
            let value = value(self.shared, row_value.value())?;
            self.record(kind, &key(row_key.value()), &value)?;
        }
        Ok(())
    }

    fn record(&mut self, kind: RecordKind, key: &[u8], value: &[u8]) -> Result<(), Stopped> {
        self.records += 1;
        self.line(&BackupLine::Record {
            kind,
            key: STANDARD.encode(key),
            value: STANDARD.encode(value),
        })
    }

    fn line(&mut self, line: &BackupLine) -> Result<(), Stopped> {
        let begin = self.piece.len();
        serde_json::to_writer(&mut self.piece, line).map_err(unavailable)?;
        self.piece.push(b'\n');
        self.so_far
            .update(self.piece.get(begin..).unwrap_or_default());
        if self.piece.len() >= PIECE {
            self.hand_on()?;
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<(), Stopped> {
        if self.shared.engine.volume().is_full() {
            return Err(Stopped::Failed(StoreError::Full));
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(2 * PIECE));
        let taken = self.pieces.blocking_send(Ok(piece.into()));
        taken.map_err(|_nobody| Stopped::NobodyTakesIt)
    }
}
