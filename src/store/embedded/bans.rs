//! Bans of logins.

use redb::ReadableTable;

use super::Shared;
use super::record::encode;
use super::rows::row;
use super::tables::{BANS, Bytes, Id, kind, login_key};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::event::{Change, Fact};
use crate::model::id::{LoginId, ServiceId};
use crate::model::login::Ban;
use crate::store::{NewBan, OpError, Refusal, StoreError};

/// The ban of a login that is in force at `now`.
pub(super) fn holding(
    bans: &impl ReadableTable<&'static Id, Bytes>,
    login_id: &LoginId,
    now: Timestamp,
) -> Result<Option<Ban>, StoreError> {
    let ban: Option<Ban> = row(bans.get(&login_key(login_id))?)?;
    Ok(ban.filter(|ban| ban.login_id == *login_id && ban.holds(now)))
}

pub(super) fn find(shared: &Shared, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
    let now = shared.now();
    holding(&shared.read()?.open_table(BANS)?, login_id, now)
}

pub(super) fn put(txn: &mut Txn<'_>, new: NewBan, by: ServiceId) -> Result<Ban, StoreError> {
    let ban = Ban {
        login_id: new.login_id,
        until: new.until,
        reason: new.reason,
        at: txn.now,
        by,
    };
    let login = login_key(&ban.login_id);
    txn.writes();
    txn.bans.insert(&login, encode(&ban)?.as_slice())?;
    if let Some(until) = ban.until {
        let entry = (until.sort_key(), kind::BAN, login.as_slice());
        txn.purge.insert(entry, ())?;
    }
    let (until, reason, by) = (ban.until, ban.reason.clone(), ban.by.clone());
    tell(txn, &ban, Change::LoginBanned { until, reason, by })?;
    Ok(ban)
}

pub(super) fn lift(txn: &mut Txn<'_>, login_id: &LoginId, by: ServiceId) -> Result<(), OpError> {
    let held = holding(&txn.bans, login_id, txn.now)?;
    let ban = held.ok_or(Refusal::BanUnknown)?;
    txn.writes();
    txn.bans
        .remove(&login_key(login_id))
        .map_err(StoreError::from)?;
    let ban = Ban {
        by: by.clone(),
        ..ban
    };
    Ok(tell(txn, &ban, Change::LoginUnbanned { by })?)
}

/// Removes a ban that has run out.
pub(super) fn forget(txn: &mut Txn<'_>, login: &Id) -> Result<(), StoreError> {
    let ban: Option<Ban> = row(txn.bans.get(login)?)?;
    if ban.is_some_and(|ban| !ban.holds(txn.now)) {
        txn.writes();
        txn.bans.remove(login)?;
    }
    Ok(())
}

fn tell(txn: &mut Txn<'_>, ban: &Ban, change: Change) -> Result<(), StoreError> {
    txn.append(Fact {
        at: txn.now,
        session_id: None,
        login_id: Some(ban.login_id.clone()),
        service_id: ban.by.clone(),
        change,
    })
}
