//! The keyring, a row for each purpose.

use async_trait::async_trait;
use redb::ReadableTable;

use super::EmbeddedStore;
use super::record::encode;
use super::room::Purpose;
use super::rows::row;
use super::tables::{Bytes, KEYS};
use crate::model::keyring::{KeyPurpose, Keyring, OfferedKey};
use crate::rules::keyring::{Provided, provide};
use crate::store::{KeyringStore, StoreError};

#[async_trait]
impl KeyringStore for EmbeddedStore {
    async fn keyring(
        &self,
        purpose: KeyPurpose,
        offered: OfferedKey,
    ) -> Result<Keyring, StoreError> {
        let held = self.look(|shared| find(&shared.read()?.open_table(KEYS)?, purpose));
        let now = self.shared.now();
        if let Provided::Held(ring) = provide(held.await?, &offered, purpose, now) {
            return Ok(ring);
        }
        // A few bytes, without which lists could not be read on a full disk.
        self.writer
            .write(Purpose::Release, move |txn| {
                let held = find(&txn.keys, purpose)?;
                match provide(held, &offered, purpose, txn.now) {
                    Provided::Held(ring) => Ok(ring),
                    Provided::Next(ring) => {
                        txn.writes();
                        txn.keys
                            .insert(purpose.as_str(), encode(&ring)?.as_slice())?;
                        Ok(ring)
                    }
                }
            })
            .await
    }
}

fn find(
    keys: &impl ReadableTable<&'static str, Bytes>,
    purpose: KeyPurpose,
) -> Result<Option<Keyring>, StoreError> {
    row(keys.get(purpose.as_str())?)
}
