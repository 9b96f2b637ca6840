//! Whether requests can be served.

use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use super::Gateway;
use crate::model::health::StoreHealth;
use crate::store::StoreError;

/// How long the store may take to say that it works.
const CHECK_DEADLINE: Duration = Duration::from_secs(1);

/// Why requests would fail.
#[derive(Debug, Error)]
pub enum NotReady {
    /// The store says so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store says nothing.
    #[error("the store did not answer in time")]
    Silent,
}

impl Gateway {
    /// How the store is, if it can be read and written right now.
    pub async fn health(&self) -> Result<StoreHealth, NotReady> {
        match timeout(CHECK_DEADLINE, self.stores.sessions.check()).await {
            Ok(checked) => Ok(checked?),
            Err(_elapsed) => Err(NotReady::Silent),
        }
    }
}
