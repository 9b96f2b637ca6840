//! Claims of idempotency keys.

use std::time::Duration;

use async_trait::async_trait;
use redb::ReadableTable;

use super::EmbeddedStore;
use super::record::encode;
use super::rows::row;
use super::stored::StoredClaim;
use super::tables::{Hash, kind};
use super::txn::Txn;
use crate::rules::terms::Kept;
use crate::store::{Claim, ClaimKey, ClaimStore, StoreError};

/// Claims are kept for 24 hours.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How long whoever claims a key has for its request before a repetition may go ahead.
const LEASE: Duration = Duration::from_secs(10);

#[async_trait]
impl ClaimStore for EmbeddedStore {
    async fn claim(
        &self,
        key: ClaimKey,
        fingerprint: [u8; 32],
        sealed_draw: Vec<u8>,
    ) -> Result<Claim, StoreError> {
        self.writer
            .write(move |txn| claim(txn, &key.0, fingerprint, sealed_draw))
            .await
    }

    async fn keep_answer(&self, key: ClaimKey, sealed_answer: Vec<u8>) -> Result<(), StoreError> {
        self.writer
            .write(move |txn| {
                let Some(mut kept) = find(txn, &key.0)? else {
                    return Ok(());
                };
                kept.value.sealed_answer = Some(sealed_answer);
                put(txn, &key.0, &kept)
            })
            .await
    }

    async fn release(&self, key: ClaimKey) -> Result<(), StoreError> {
        self.writer.write(move |txn| release(txn, &key.0)).await
    }
}

fn claim(
    txn: &mut Txn<'_>,
    key: &Hash,
    fingerprint: [u8; 32],
    sealed_draw: Vec<u8>,
) -> Result<Claim, StoreError> {
    let lease_until = txn.now.plus(LEASE);
    let mut kept = match find(txn, key)? {
        Some(kept) if kept.value.fingerprint != fingerprint => return Ok(Claim::Reused),
        Some(Kept {
            value:
                StoredClaim {
                    sealed_answer: Some(sealed_answer),
                    ..
                },
            ..
        }) => return Ok(Claim::Done { sealed_answer }),
        Some(kept) if txn.now < kept.value.lease_until => return Ok(Claim::Busy),
        Some(kept) => kept,
        None => {
            let until = txn.now.plus(RETENTION);
            txn.writes();
            txn.purge
                .insert((until.sort_key(), kind::CLAIM, key.as_slice()), ())?;
            let value = StoredClaim {
                fingerprint,
                sealed_draw,
                lease_until,
                sealed_answer: None,
            };
            Kept { until, value }
        }
    };
    kept.value.lease_until = lease_until;
    put(txn, key, &kept)?;
    Ok(Claim::Granted {
        sealed_draw: kept.value.sealed_draw,
    })
}

fn find(txn: &Txn<'_>, key: &Hash) -> Result<Option<Kept<StoredClaim>>, StoreError> {
    let kept: Option<Kept<StoredClaim>> = row(txn.claims.get(key)?)?;
    Ok(kept.filter(|kept| txn.now < kept.until))
}

fn put(txn: &mut Txn<'_>, key: &Hash, kept: &Kept<StoredClaim>) -> Result<(), StoreError> {
    txn.writes();
    txn.claims.insert(key, encode(kept)?.as_slice())?;
    Ok(())
}

fn release(txn: &mut Txn<'_>, key: &Hash) -> Result<(), StoreError> {
    let Some(kept) = find(txn, key)? else {
        return Ok(());
    };
    txn.writes();
    txn.claims.remove(key)?;
    txn.purge
        .remove((kept.until.sort_key(), kind::CLAIM, key.as_slice()))?;
    Ok(())
}
