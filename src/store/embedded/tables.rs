//! The tables of the file and the shape of their keys. Keys hold hashes and session ids, never names, but for the ids
//! of services.

use crate::model::id::LoginId;
use redb::{Key, ReadTransaction, TableDefinition, TableError, Value, WriteTransaction};

pub(super) type Id = [u8; 16];
/// A SHA-256 digest.
pub(super) type Hash = [u8; 32];
/// The login's hash and the session id: the sessions of a login stand together, in the order of their ids.
pub(super) type LoginKey = (&'static Id, &'static Id);
/// Milliseconds and a session id.
pub(super) type ExpiryKey = (u64, &'static Id);
/// Milliseconds, the kind of record (see [`kind`]) and its key.
pub(super) type PurgeKey = (u64, u8, &'static [u8]);
pub(super) type Bytes = &'static [u8];

pub(super) const SESSIONS: TableDefinition<'static, &'static Id, Bytes> =
    TableDefinition::new("sessions");
pub(super) const TOMBSTONES: TableDefinition<'static, &'static Id, Bytes> =
    TableDefinition::new("tombstones");
pub(super) const LOGINS: TableDefinition<'static, LoginKey, ()> = TableDefinition::new("logins");
pub(super) const EXPIRY: TableDefinition<'static, ExpiryKey, ()> = TableDefinition::new("expiry");
pub(super) const TOKENS: TableDefinition<'static, &'static Hash, &'static Id> =
    TableDefinition::new("tokens");
pub(super) const EVENTS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("events");
pub(super) const SERVICES: TableDefinition<'static, &'static str, Bytes> =
    TableDefinition::new("services");
/// Bans, by the keys of their logins.
pub(super) const BANS: TableDefinition<'static, &'static Id, Bytes> = TableDefinition::new("bans");
/// Profiles, by the keys of their logins.
pub(super) const PROFILES: TableDefinition<'static, &'static Id, Bytes> =
    TableDefinition::new("profiles");
/// The keyring, by purpose.
pub(super) const KEYS: TableDefinition<'static, &'static str, Bytes> = TableDefinition::new("keys");
/// Until when networks are slowed down, in milliseconds.
pub(super) const THROTTLES: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("throttles");
pub(super) const CLAIMS: TableDefinition<'static, &'static Hash, Bytes> =
    TableDefinition::new("claims");
pub(super) const OPERATION_IDS: TableDefinition<'static, &'static Hash, Bytes> =
    TableDefinition::new("marks");
/// How many sessions each owner has.
pub(super) const OWNERS: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("owners");
pub(super) const PURGE: TableDefinition<'static, PurgeKey, ()> = TableDefinition::new("purge");
pub(super) const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");

pub(super) mod meta {
    pub(in super::super) const FORMAT: &str = "format";
    /// The last event that is no longer kept.
    pub(in super::super) const TRIMMED: &str = "events_trimmed";
    /// The last event that the counts of owners know of.
    pub(in super::super) const OWNERS_AT: &str = "owners_at";
    /// When a service was removed last, in milliseconds.
    pub(in super::super) const SERVICE_REMOVED: &str = "service_removed";
}

/// The format of the tables that this version reads and writes.
pub(super) const FORMAT: u64 = 1;

/// What an entry of the purge index speaks of.
pub(super) mod kind {
    pub(in super::super) const TOMBSTONE: u8 = 0;
    pub(in super::super) const OPERATION_ID: u8 = 1;
    pub(in super::super) const CLAIM: u8 = 2;
    pub(in super::super) const BAN: u8 = 3;
    pub(in super::super) const PROFILE: u8 = 4;
    pub(in super::super) const THROTTLE: u8 = 5;
}

pub(super) const FIRST_ID: Id = [0; 16];
pub(super) const LAST_ID: Id = [u8::MAX; 16];

/// The part of a login's digest that its keys start with; records are compared with the whole login id.
pub(super) fn login_key(login_id: &LoginId) -> Id {
    let mut key = [0; 16];
    for (slot, byte) in key.iter_mut().zip(login_id.digest()) {
        *slot = byte;
    }
    key
}

/// Makes every table, so that readers find them, in a format.
pub(super) fn create_all(txn: &WriteTransaction, format: u64) -> Result<(), TableError> {
    txn.open_table(SESSIONS)?;
    txn.open_table(TOMBSTONES)?;
    txn.open_table(LOGINS)?;
    txn.open_table(EXPIRY)?;
    txn.open_table(TOKENS)?;
    txn.open_table(EVENTS)?;
    txn.open_table(SERVICES)?;
    txn.open_table(BANS)?;
    txn.open_table(PROFILES)?;
    txn.open_table(KEYS)?;
    txn.open_table(THROTTLES)?;
    txn.open_table(CLAIMS)?;
    txn.open_table(OPERATION_IDS)?;
    txn.open_table(OWNERS)?;
    txn.open_table(PURGE)?;
    txn.open_table(META)?.insert(meta::FORMAT, format)?;
    Ok(())
}

/// Whether every table is there: files of the first versions have no bans, later ones no profiles, then no throttles or no keys, no
/// counts of owners.
pub(super) fn has_all(txn: &ReadTransaction) -> Result<bool, TableError> {
    Ok(has(txn, BANS)?
        && has(txn, PROFILES)?
        && has(txn, THROTTLES)?
        && has(txn, KEYS)?
        && has(txn, OWNERS)?)
}

fn has<K: Key, V: Value>(
    txn: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<bool, TableError> {
    match txn.open_table(table) {
        Ok(_) => Ok(true),
        Err(TableError::TableDoesNotExist(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The format that is stored; none in a new file.
pub(super) fn stored_format(txn: &ReadTransaction) -> Result<Option<u64>, TableError> {
    match txn.open_table(META) {
        Ok(table) => Ok(table.get(meta::FORMAT)?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
