//! Backups: for who may do everything, as everything is in them.

use super::auth::Caller;
use super::{Gateway, GatewayError};
use crate::model::permission::Permissions;
use crate::store::backup::BackupPieces;

impl Gateway {
    /// Begins a backup of the store as it is now.
    pub async fn back_up(&self, caller: &Caller) -> Result<BackupPieces, GatewayError> {
        let held = &caller.service.permissions;
        if let Some(missing) = held.first_missing(&Permissions::everything()) {
            let refusals = &self.authenticator.refusals;
            return Err(refusals.deny(caller.id(), missing.clone()));
        }
        let source = self.stores.backups.as_ref();
        let source = source.ok_or(GatewayError::BackupNotPossible)?;
        Ok(source.back_up().await?)
    }
}
