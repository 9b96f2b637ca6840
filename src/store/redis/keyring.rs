//! The keyring: one hash with a field for each purpose, without a TTL. A new key is put in if the field is still as it was
//! when that was decided.

use async_trait::async_trait;
use tokio::time::Instant;

use super::RedisStore;
use super::client::Client;
use super::connections::Effect;
use super::hashes::{Change, Hash, HashWrite, Seen};
use super::keys::SERVICES;
use super::reply::newer;
use crate::model::keyring::{KeyPurpose, Keyring, OfferedKey};
use crate::rules::keyring::{Provided, provide};
use crate::store::{Cause, KeyringStore, StoreError};

/// What error messages call it.
const KEYRING: &str = "keyring";
/// The format of a field: this byte, then postcard.
const FORMAT: u8 = 1;

#[async_trait]
impl KeyringStore for RedisStore {
    async fn keyring(
        &self,
        purpose: KeyPurpose,
        offered: OfferedKey,
    ) -> Result<Keyring, StoreError> {
        let hash = hash(&self.client);
        let deadline = self.client.connections.operation_deadline();
        let mut seen = self.client.see(&hash).await?;
        loop {
            let held = decode(&seen, purpose)?;
            let ring = match provide(held, &offered, purpose, seen.now) {
                Provided::Held(ring) => return Ok(ring),
                Provided::Next(ring) => ring,
            };
            let write = put(&seen, purpose, &ring)?;
            let written = self.client.write_hash(&hash, &write, Effect::Repeatable);
            seen = match written.await? {
                Ok(_now) => return Ok(ring),
                Err(_) if Instant::now() >= deadline => return Err(StoreError::Overloaded),
                Err(present) => present,
            };
        }
    }
}

fn hash(client: &Client) -> Hash {
    Hash {
        slot: SERVICES,
        key: client.keys.keyring(),
        fields: &[],
    }
}

fn put(seen: &Seen, purpose: KeyPurpose, ring: &Keyring) -> Result<HashWrite, StoreError> {
    let name = purpose.as_str();
    let held = seen.bytes(name).unwrap_or_default().to_vec();
    let bytes = postcard::to_extend(ring, vec![FORMAT]).map_err(corrupt)?;
    Ok(HashWrite {
        seen: vec![(name, held)],
        changes: vec![(name.into(), Change::Put(bytes))],
        // Endings go on with cursors, and must be possible then.
        when_full: true,
        ..HashWrite::default()
    })
}

fn decode(seen: &Seen, purpose: KeyPurpose) -> Result<Option<Keyring>, StoreError> {
    match seen.bytes(purpose.as_str()).and_then(<[u8]>::split_first) {
        Some((&FORMAT, body)) => postcard::from_bytes(body).map(Some).map_err(corrupt),
        Some((format, _)) => Err(newer(KEYRING, format.to_string().as_bytes())),
        None => Ok(None),
    }
}

fn corrupt(cause: impl Into<Cause>) -> StoreError {
    StoreError::Corrupt {
        record: KEYRING,
        cause: cause.into(),
    }
}
