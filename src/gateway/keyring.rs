//! The keys for one purpose as this node holds them: a copy of the ring of the store, which is read again now and then, so
//! that nodes agree also after the store has lost it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::GatewayError;
use crate::entropy::random_bytes;
use crate::model::Timestamp;
use crate::model::keyring::{KeyId, KeyPurpose, KeySecret, Keyring, OfferedKey, SharedKey};
use crate::store::node::Handle;
use crate::store::{KeyringStore, StoreError};
use crate::telemetry::log_limit::LogLimit;

/// How old the copy may become.
const COPY_KEPT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Keys {
    purpose: KeyPurpose,
    store: Handle<dyn KeyringStore>,
    copy: Mutex<Option<Copied>>,
    log_limit: LogLimit<()>,
}

#[derive(Debug, Clone)]
struct Copied {
    ring: Arc<Keyring>,
    read_at: Instant,
}

impl Keys {
    pub(super) fn new(purpose: KeyPurpose, store: Handle<dyn KeyringStore>) -> Self {
        Self {
            purpose,
            store,
            copy: Mutex::default(),
            log_limit: LogLimit::default(),
        }
    }

    /// The key to make new things with. While the store does not answer, the one that was the last to be known.
    pub(super) async fn present(&self, now: Timestamp) -> Result<SharedKey, GatewayError> {
        let copied = self.copy().filter(|copy| copy.ring.is_in_use(now));
        let is_fresh = |copy: &Copied| copy.read_at.elapsed() < COPY_KEPT;
        let ring = match copied {
            Some(copy) if is_fresh(&copy) => copy.ring,
            Some(copy) => self.read(offer()?).await.unwrap_or_else(|error| {
                self.log(&error);
                copy.ring
            }),
            None => self.read(offer()?).await?,
        };
        Ok(ring.present.clone())
    }

    /// The key of this id, while what was made with it counts.
    pub(super) async fn find(
        &self,
        id: KeyId,
        now: Timestamp,
    ) -> Result<Option<SharedKey>, GatewayError> {
        let copied = self
            .copy()
            .and_then(|copy| copy.ring.find(id, now).cloned());
        match copied {
            Some(key) => Ok(Some(key)),
            // Another node may have made it since.
            None => Ok(self.read(offer()?).await?.find(id, now).cloned()),
        }
    }

    async fn read(&self, offered: OfferedKey) -> Result<Arc<Keyring>, StoreError> {
        let read_at = Instant::now();
        let ring = Arc::new(self.store.keyring(self.purpose, offered).await?);
        let copied = Copied {
            ring: Arc::clone(&ring),
            read_at,
        };
        *self.copy.lock().unwrap_or_else(PoisonError::into_inner) = Some(copied);
        Ok(ring)
    }

    fn copy(&self) -> Option<Copied> {
        let copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        copy.clone()
    }

    fn log(&self, error: &StoreError) {
        if self.log_limit.allows(&()) {
            let purpose = self.purpose.as_str();
            tracing::warn!(%error, purpose, "the keyring is used as it was last read");
        }
    }
}

fn offer() -> Result<OfferedKey, GatewayError> {
    Ok(OfferedKey {
        id: KeyId(*random_bytes()?),
        secret: KeySecret(*random_bytes()?),
    })
}
