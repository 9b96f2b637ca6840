//! Bans of logins.

use redb::ReadableTable;

use super::Shared;
use super::rows::row;
use super::tables::{BANS, Bytes, Id, login_key};
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::login::Ban;
use crate::rules::ban;
use crate::store::StoreError;

/// The ban of a login that is in force at `now`.
pub(super) fn in_force(
    bans: &impl ReadableTable<&'static Id, Bytes>,
    login_id: &LoginId,
    now: Timestamp,
) -> Result<Option<Ban>, StoreError> {
    let stored = row(bans.get(&login_key(login_id))?)?;
    Ok(ban::in_force(stored, login_id, now))
}

pub(super) fn find(shared: &Shared, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
    let now = shared.now();
    in_force(&shared.read()?.open_table(BANS)?, login_id, now)
}
