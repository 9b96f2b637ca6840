//! The keys that all gateways on one store share.

use std::fmt::Debug;

use async_trait::async_trait;

use super::StoreError;
use crate::model::keyring::{KeyPurpose, Keyring, OfferedKey};

/// The keys that all gateways on one store share.
#[async_trait]
pub trait KeyringStore: Debug + Send + Sync {
    /// The ring for a purpose. If new things may not be made with its present key, the one that is offered becomes that;
    /// of any number of parallel calls the first one's.
    async fn keyring(
        &self,
        purpose: KeyPurpose,
        offered: OfferedKey,
    ) -> Result<Keyring, StoreError>;
}
