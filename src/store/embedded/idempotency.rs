//! Claims of idempotency keys.

use async_trait::async_trait;
use redb::ReadableTable;

use super::EmbeddedStore;
use super::record::encode;
use super::room::Purpose;
use super::rows::row;
use super::tables::{Hash, kind};
use super::txn::Txn;
use crate::rules::idempotency::{Claim, IdempotencyRecord, claim};
use crate::store::{IdempotencyRecordKey, IdempotencyStore, StoreError};

#[async_trait]
impl IdempotencyStore for EmbeddedStore {
    async fn claim(
        &self,
        key: IdempotencyRecordKey,
        fingerprint: [u8; 32],
        sealed_entropy: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        self.writer
            .write(Purpose::Keep, move |txn| {
                let held = find(txn, &key.0)?;
                let (claim, record) = claim(held, fingerprint, &sealed_entropy, txn.now);
                if let Some(record) = record {
                    put(txn, &key.0, &record)?;
                }
                Ok(claim)
            })
            .await
    }

    /// One gateway alone opens the file.
    fn may_keep_remains(&self) -> bool {
        true
    }

    async fn keep_answer(
        &self,
        key: IdempotencyRecordKey,
        sealed_answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.writer
            .write(Purpose::Keep, move |txn| match find(txn, &key.0)? {
                Some(held) => put(txn, &key.0, &held.answered(sealed_answer)),
                None => Ok(()),
            })
            .await
    }

    async fn release(&self, key: IdempotencyRecordKey) -> Result<(), StoreError> {
        self.writer
            .write(Purpose::Release, move |txn| release(txn, &key.0))
            .await
    }
}

fn find(txn: &Txn<'_>, key: &Hash) -> Result<Option<IdempotencyRecord>, StoreError> {
    row(txn.claims.get(key)?)
}

/// An entry in the purge index that is too early is passed over by the sweep.
fn put(txn: &mut Txn<'_>, key: &Hash, record: &IdempotencyRecord) -> Result<(), StoreError> {
    txn.writes();
    txn.claims.insert(key, encode(record)?.as_slice())?;
    txn.purge
        .insert((record.until.sort_key(), kind::CLAIM, key.as_slice()), ())?;
    Ok(())
}

fn release(txn: &mut Txn<'_>, key: &Hash) -> Result<(), StoreError> {
    let Some(held) = find(txn, key)? else {
        return Ok(());
    };
    txn.writes();
    txn.claims.remove(key)?;
    txn.purge
        .remove((held.until.sort_key(), kind::CLAIM, key.as_slice()))?;
    Ok(())
}
