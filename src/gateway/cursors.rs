//! Cursors as callers hold them: sealed, so that they tell nothing of the sessions they stand at, and bound to the list,
//! its filters and what the caller may see of it. One for anything else is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keyring::Keys;
use super::{Caller, Gateway, GatewayError};
use crate::entropy::random_bytes;
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::model::keyring::{KeyId, KeyPurpose, SharedKey};
use crate::model::page::{Cursor, Page, SealedCursor};
use crate::model::permission::Scope;
use crate::seal::{NONCE_BYTES, SealKey};
use crate::store::Stores;

/// What is sealed with a key of the ring, and in which form.
const PURPOSE: &[u8] = b"session-gateway cursors 1";

/// What a cursor is good for.
#[derive(Debug)]
pub(super) struct Binding(Vec<u8>);

impl Binding {
    /// A list by its name, with everything that decides what is in it.
    pub(super) fn new(
        list: &'static str,
        caller: &Caller,
        filter: &impl Serialize,
    ) -> Result<Self, GatewayError> {
        let own = match &caller.scope {
            Scope::All => None,
            Scope::OpenedBy(opener) => Some(opener.registered_at),
        };
        let bound: (&str, &ServiceId, Option<Timestamp>, _) = (list, caller.id(), own, filter);
        let bound = postcard::to_stdvec(&bound);
        bound.map(Self).map_err(GatewayError::internal)
    }
}

/// Opens cursors, and makes what seals them.
#[derive(Debug)]
pub(super) struct Cursors {
    keys: Keys,
}

/// Seals cursors for one answer, whatever becomes of the store meanwhile.
pub(super) struct Sealer {
    id: KeyId,
    key: SealKey,
    binding: Binding,
}

impl Cursors {
    pub(super) fn new(stores: &Stores) -> Self {
        Self {
            keys: Keys::new(KeyPurpose::Cursors, stores.keyring.clone()),
        }
    }

    pub(super) async fn sealer(
        &self,
        binding: Binding,
        now: Timestamp,
    ) -> Result<Sealer, GatewayError> {
        let key = self.keys.present(now).await?;
        Ok(Sealer {
            id: key.id,
            key: seal_key(&key)?,
            binding,
        })
    }

    /// The place that a cursor tells.
    pub(super) async fn open<P: DeserializeOwned>(
        &self,
        cursor: &SealedCursor,
        binding: &Binding,
        now: Timestamp,
    ) -> Result<P, GatewayError> {
        let invalid = GatewayError::CursorInvalid;
        let split = split(cursor.as_bytes());
        let (id, nonce, sealed) = split.ok_or(GatewayError::CursorInvalid)?;
        let key = self.keys.find(id, now).await?.ok_or(invalid)?;
        let opened = seal_key(&key)?.open(nonce, sealed, &binding.0);
        let place = opened.map_err(|_other_use| GatewayError::CursorInvalid)?;
        postcard::from_bytes(&place).map_err(|_other_form| GatewayError::CursorInvalid)
    }
}

impl Sealer {
    pub(super) fn seal(&self, place: &impl Serialize) -> Result<SealedCursor, GatewayError> {
        let place = postcard::to_stdvec(place).map_err(GatewayError::internal)?;
        let nonce = *random_bytes::<NONCE_BYTES>()?;
        let sealed = self.key.seal(nonce, &place, &self.binding.0)?;
        let bytes = [self.id.0.as_slice(), &nonce, &sealed].concat();
        Ok(SealedCursor::new(bytes))
    }
}

impl Gateway {
    /// Where a page begins, if not at the start.
    pub(super) async fn place(
        &self,
        cursor: Option<&SealedCursor>,
        binding: &Binding,
    ) -> Result<Option<Cursor>, GatewayError> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let now = self.stores.sessions.now();
        self.cursors.open(cursor, binding, now).await.map(Some)
    }

    /// A page as its caller gets it.
    pub(super) async fn sealed<T>(
        &self,
        Page { items, next }: Page<T>,
        binding: Binding,
    ) -> Result<Page<T, SealedCursor>, GatewayError> {
        let next = match next {
            Some(place) => {
                let now = self.stores.sessions.now();
                Some(self.cursors.sealer(binding, now).await?.seal(&place)?)
            }
            None => None,
        };
        Ok(Page { items, next })
    }
}

fn seal_key(key: &SharedKey) -> Result<SealKey, GatewayError> {
    Ok(SealKey::derive(&key.secret.0, None, PURPOSE)?)
}

fn split(bytes: &[u8]) -> Option<(KeyId, [u8; NONCE_BYTES], &[u8])> {
    let (id, rest) = bytes.split_first_chunk::<8>()?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
    Some((KeyId(*id), *nonce, sealed))
}
