//! How many sessions each registration of a service has. A count goes with the write that opens or ends a session, and with the
//! last event: where another version has written since that counts nothing, all are counted again.

use std::collections::HashMap;

use redb::{ReadableTable, Table, WriteTransaction};

use super::engine::Engine;
use super::record::decode;
use super::stored::StoredSession;
use super::tables::{EVENTS, META, OWNERS, SESSIONS, meta};
use super::txn::Txn;
use super::{Shared, unavailable};
use crate::model::owner::Owner;
use crate::store::StoreError;

impl Txn<'_> {
    pub(super) fn count_opened(&mut self, owner: &Owner) -> Result<(), StoreError> {
        let count = count(&self.owners, owner)?.saturating_add(1);
        self.owners.insert(owner.key().as_str(), count)?;
        Ok(())
    }

    pub(super) fn count_ended(&mut self, owner: &Owner) -> Result<(), StoreError> {
        match count(&self.owners, owner)? {
            0 | 1 => self.owners.remove(owner.key().as_str())?,
            count => self.owners.insert(owner.key().as_str(), count - 1)?,
        };
        Ok(())
    }
}

fn count(owners: &Table<'_, &'static str, u64>, owner: &Owner) -> Result<u64, StoreError> {
    let held = owners.get(owner.key().as_str())?;
    Ok(held.map_or(0, |count| count.value()))
}

pub(super) fn read(shared: &Shared) -> Result<HashMap<Owner, u64>, StoreError> {
    let mut owned = HashMap::new();
    for row in shared.read()?.open_table(OWNERS)?.iter()? {
        let (key, count) = row?;
        owned.extend(Owner::of_key(key.value()).map(|owner| (owner, count.value())));
    }
    Ok(owned)
}

/// Counts all again unless this version has written last.
pub(super) fn ensure(store: &Engine) -> Result<(), StoreError> {
    let read = store.begin_read()?;
    let meta = read.open_table(META)?;
    let at = |name| Ok::<_, StoreError>(meta.get(name)?.map_or(0, |at| at.value()));
    let events = read.open_table(EVENTS)?;
    let last = events.last()?;
    let last = last.map_or(0, |(number, _)| number.value());
    let last = last.max(at(meta::TRIMMED)?);
    if last != at(meta::OWNERS_AT)? {
        let write = store.begin_write()?;
        recount(&write)?;
        write.open_table(META)?.insert(meta::OWNERS_AT, last)?;
        write.commit().map_err(unavailable)?;
    }
    Ok(())
}

fn recount(write: &WriteTransaction) -> Result<(), StoreError> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for row in write.open_table(SESSIONS)?.iter()? {
        // One that cannot be read is told of by whoever needs it.
        if let Ok(StoredSession { record, .. }) = decode(row?.1.value()) {
            *counts.entry(record.owner().key()).or_default() += 1;
        }
    }
    let mut owners = write.open_table(OWNERS)?;
    owners.retain(|_, _| false)?;
    for (key, count) in counts {
        owners.insert(key.as_str(), count)?;
    }
    Ok(())
}
