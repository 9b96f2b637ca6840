//! Writes to a live session: changes, refreshes, heartbeats. Each appends its one event, or none if it only lengthens
//! the life.

use std::time::Duration;

use super::stored::{Effect, StoredSession};
use super::txn::Txn;
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::event::Change;
use crate::model::record::{Applied, SessionChange};
use crate::model::session::{ConnectionStats, Session};
use crate::store::{Changed, OpError, Refusal, StoreError, Target};

pub(super) fn change(
    txn: &mut Txn<'_>,
    target: &Target,
    change: SessionChange,
) -> Result<Changed, OpError> {
    if let Some(first) = repeated(txn, target)? {
        return Ok(first);
    }
    let mut stored = txn.meet_target(target)?;
    let counter = match &change {
        SessionChange::IncrementAttribute(name, _) => Some(name.clone()),
        SessionChange::MergeAttributes(_)
        | SessionChange::PutAttribute(..)
        | SessionChange::RemoveAttribute(_)
        | SessionChange::Update(_) => None,
    };
    let applied = stored.record.apply(change, txn.now);
    let applied = applied.map_err(Refusal::from)?;
    let inserted = applied.inserted;
    append_change(txn, target, &stored, applied)?;
    let made = counter.and_then(|name| {
        let value = stored.record.session.attributes.get(&name)?.clone();
        Some((name, value))
    });
    let session = write(txn, target, stored, inserted, made)?;
    Ok(Changed { session, inserted })
}

pub(super) fn refresh(
    txn: &mut Txn<'_>,
    target: &Target,
    ttl: Option<Duration>,
) -> Result<Session, OpError> {
    if let Some(first) = repeated(txn, target)? {
        return Ok(first.session);
    }
    let mut stored = txn.meet_target(target)?;
    let before = stored.record.session.expires_at;
    stored.record.refresh(txn.now, ttl);
    if stored.record.session.expires_at < before {
        append_change(txn, target, &stored, fields("expires_at"))?;
    }
    Ok(write(txn, target, stored, false, None)?)
}

pub(super) fn heartbeat(
    txn: &mut Txn<'_>,
    target: &Target,
    stats: Option<ConnectionStats>,
) -> Result<Session, OpError> {
    if let Some(first) = repeated(txn, target)? {
        return Ok(first.session);
    }
    let mut stored = txn.meet_target(target)?;
    if stored.record.heartbeat(txn.now, stats) {
        append_change(txn, target, &stored, fields("state"))?;
    }
    Ok(write(txn, target, stored, false, None)?)
}

fn fields(name: &str) -> Applied {
    Applied {
        inserted: false,
        attributes: Vec::new(),
        fields: vec![name.to_owned()],
    }
}

/// The session now, if a write with this mark was made before; with the value that an increment made then.
fn repeated(txn: &mut Txn<'_>, target: &Target) -> Result<Option<Changed>, OpError> {
    let Some(Effect::Written {
        session_id,
        inserted,
        made,
    }) = txn.effect(target.mark)?
    else {
        return Ok(None);
    };
    let mut session = txn.current(session_id, &target.access.scope)?;
    if let Some((name, value)) = made {
        session.attributes.set(name, value);
    }
    Ok(Some(Changed { session, inserted }))
}

fn append_change(
    txn: &mut Txn<'_>,
    target: &Target,
    stored: &StoredSession,
    applied: Applied,
) -> Result<(), StoreError> {
    let session = &stored.record.session;
    let change = Change::SessionChanged {
        version: session.version,
        attributes: applied.attributes,
        fields: applied.fields,
        by: target.access.service_id.clone(),
    };
    txn.append_for(session, txn.now, change)
}

fn write(
    txn: &mut Txn<'_>,
    target: &Target,
    stored: StoredSession,
    inserted: bool,
    made: Option<(AttributeName, AttributeValue)>,
) -> Result<Session, StoreError> {
    let session = txn.shared.shown(stored.clone(), txn.now);
    txn.save(stored)?;
    txn.keep_effect(target.mark, || Effect::Written {
        session_id: session.session_id,
        inserted,
        made,
    })?;
    Ok(session)
}
