//! Cleaning in bounded steps: sessions that are over end, and what was kept long enough goes.

use redb::ReadableTable;

use super::profiles;
use super::record::decode;
use super::rows::row;
use super::stored::StoredEvent;
use super::tables::{FIRST_ID, Hash, Id, LAST_ID, kind, meta};
use super::throttles;
use super::txn::Txn;
use crate::model::id::SessionId;
use crate::model::login::Ban;
use crate::rules::Kept;
use crate::rules::feed::{self, EventAge};
use crate::rules::idempotency::IdempotencyRecord;
use crate::rules::operation::OperationRecord;
use crate::rules::sweep as rules;
use crate::store::StoreError;

/// Records that one step looks at.
const STEP: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Whether the step had too little room.
    pub(super) more: bool,
    /// Why a record was passed over. It stays as it is, and the rest was swept.
    pub(super) unreadable: Option<StoreError>,
}

pub(super) fn sweep(txn: &mut Txn<'_>) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    let mut room = STEP;
    room -= end_expired(txn, room, &mut swept)?;
    room -= purge(txn, room, &mut swept)?;
    room -= trim_events(txn, room)?;
    swept.more = room == 0;
    Ok(swept)
}

impl Swept {
    /// Takes note of a record that cannot be read; any other error stays one.
    fn pass_over<T>(&mut self, result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::NewerFormat { .. })) => {
                self.unreadable = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Sweeps the sessions that the expiry index has up to now.
fn end_expired(txn: &mut Txn<'_>, room: usize, swept: &mut Swept) -> Result<usize, StoreError> {
    let due = (0, &FIRST_ID)..=(txn.now.sort_key(), &LAST_ID);
    let mut ids: Vec<Id> = Vec::new();
    for entry in txn.expiry.range(due)?.take(room) {
        ids.push(*entry?.0.value().1);
    }
    for id in &ids {
        let loaded = txn.entry(SessionId::from_bytes(*id));
        if let Some(entry) = swept.pass_over(loaded)? {
            txn.carry_out(rules::sweep(entry, &txn.terms()))?;
        }
    }
    Ok(ids.len())
}

/// Removes what was kept until a moment that is over.
fn purge(txn: &mut Txn<'_>, room: usize, swept: &mut Swept) -> Result<usize, StoreError> {
    let none: &[u8] = &[];
    let due = (0, 0, none)..(txn.now.sort_key().saturating_add(1), 0, none);
    let mut entries = Vec::new();
    for entry in txn.purge.range(due)?.take(room) {
        let entry = entry?.0;
        let (at, kind, key) = entry.value();
        entries.push((at, kind, key.to_vec()));
    }
    for (at, kind, key) in &entries {
        let purged = purge_one(txn, *kind, key);
        if swept.pass_over(purged)?.is_some() {
            txn.writes();
            txn.purge.remove((*at, *kind, key.as_slice()))?;
        }
    }
    Ok(entries.len())
}

/// An operation id, claim or ban may have been made anew since the entry was: then it has another entry of its own.
fn purge_one(txn: &mut Txn<'_>, kind: u8, key: &[u8]) -> Result<(), StoreError> {
    if let (kind::TOMBSTONE, Ok(id)) = (kind, key.try_into()) {
        let entry = txn.entry(SessionId::from_bytes(id))?;
        return txn.carry_out(rules::sweep(entry, &txn.terms()));
    }
    if let (kind::BAN, Ok(login)) = (kind, <&Id>::try_from(key)) {
        let ban: Option<Ban> = row(txn.bans.get(login)?)?;
        return match ban {
            Some(ban) => txn.carry_out(rules::sweep_ban(ban, &txn.terms())),
            None => Ok(()),
        };
    }
    if let (kind::PROFILE, Ok(login)) = (kind, key.try_into()) {
        return profiles::forget(txn, login);
    }
    if let (kind::THROTTLE, Ok(network)) = (kind, str::from_utf8(key)) {
        return throttles::forget(txn, network);
    }
    let Ok(key) = <&Hash>::try_from(key) else {
        return Ok(());
    };
    let until = match kind {
        kind::OPERATION_ID => {
            row::<Kept<OperationRecord>>(txn.operation_ids.get(key)?)?.map(|kept| kept.until)
        }
        kind::CLAIM => row::<IdempotencyRecord>(txn.claims.get(key)?)?.map(|record| record.until),
        _ => None,
    };
    if until.is_none_or(|until| txn.now < until) {
        return Ok(());
    }
    txn.writes();
    if kind == kind::OPERATION_ID {
        txn.operation_ids.remove(key)?;
    } else {
        txn.claims.remove(key)?;
    }
    Ok(())
}

/// Removes events that were kept long enough, from the oldest on.
fn trim_events(txn: &mut Txn<'_>, room: usize) -> Result<usize, StoreError> {
    let Some(last) = last_over(txn, room)? else {
        return Ok(0);
    };
    let mut over = Vec::new();
    for entry in txn.events.range(..=last)?.take(room) {
        over.push(entry?.0.value());
    }
    for number in &over {
        txn.writes();
        txn.events.remove(number)?;
    }
    if let Some(last) = over.last() {
        txn.meta.insert(meta::TRIMMED, last)?;
    }
    Ok(over.len())
}

/// The last event that was kept long enough, at least of the oldest ones; what was appended before it was too.
fn last_over(txn: &Txn<'_>, room: usize) -> Result<Option<u64>, StoreError> {
    let (mut last, mut looked_at) = (None, 0);
    for entry in txn.events.iter()?.take(room) {
        let (number, bytes) = entry?;
        looked_at = number.value();
        match age(txn, bytes.value())? {
            EventAge::Over => last = Some(looked_at),
            EventAge::Unknown => {}
            EventAge::Kept => return Ok(last),
        }
    }
    match last {
        Some(_) => Ok(last),
        None => last_over_beyond(txn, looked_at),
    }
}

/// The same where a clock was wrong for longer than one step looks at: behind its events, what is over comes before what
/// is kept.
fn last_over_beyond(txn: &Txn<'_>, looked_at: u64) -> Result<Option<u64>, StoreError> {
    let (mut last, mut next) = (None, looked_at + 1);
    let mut end = txn
        .events
        .last()?
        .map_or(0, |(number, _)| number.value() + 1);
    while next < end {
        let middle = next + (end - next) / 2;
        let Some(bytes) = txn.events.get(middle)? else {
            return Ok(last);
        };
        match age(txn, bytes.value())? {
            EventAge::Over => (last, next) = (Some(middle), middle + 1),
            EventAge::Unknown => next = middle + 1,
            EventAge::Kept => end = middle,
        }
    }
    Ok(last)
}

fn age(txn: &Txn<'_>, bytes: &[u8]) -> Result<EventAge, StoreError> {
    let event: StoredEvent = decode(bytes)?;
    let retention = txn.shared.settings.event_retention;
    Ok(feed::age(event.appended_at, retention, &txn.terms()))
}
