//! Opening a session: repetition, ids and tokens in use, and the limit of its login.

use redb::ReadableTable;

use super::bans;
use super::stored::{Effect, StoredSession};
use super::tables::{FIRST_ID, LAST_ID, login_key};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::event::Change;
use crate::model::id::{LoginId, SessionId};
use crate::model::limit::{LimitPer, Overflow, SessionLimit};
use crate::model::permission::Scope;
use crate::model::session::{EndReason, Ended, Session};
use crate::model::session_token::{StoredToken, TokenOrigin};
use crate::store::{Created, Lookup, NewSession, OpError, Refusal, StoreError};

pub(super) fn create(txn: &mut Txn<'_>, new: NewSession) -> Result<Created, OpError> {
    if let Some(first) = repeated(txn, &new)? {
        return Ok(first);
    }
    if token_in_use(txn, &new.token)? {
        return Err(Refusal::TokenInUse.into());
    }
    if bans::holding(&txn.bans, &new.login_id, txn.now)?.is_some() {
        return Err(Refusal::LoginBanned.into());
    }
    let over = match &new.limit {
        Some(limit) => sessions_over(txn, &new, limit)?,
        None => Vec::new(),
    };
    let mut evicted = Vec::with_capacity(over.len());
    for stored in over {
        let by = new.service_id.clone();
        txn.end(&stored, Ended::by_service(EndReason::Replaced, txn.now, by))?;
        evicted.push(stored.record.session.session_id);
    }
    let mark = new.mark;
    let stored = txn.insert(new.open(txn.now))?;
    let session = &stored.record.session;
    let device = session.device.clone();
    txn.append_for(session, txn.now, Change::SessionCreated { device })?;
    txn.keep_effect(mark, || Effect::Created {
        session_id: session.session_id,
        evicted: evicted.clone(),
    })?;
    let session = txn.shared.shown(stored, txn.now);
    Ok(Created { session, evicted })
}

/// What the first attempt did, if this is not it. Without a mark, the same id with the same token tells.
fn repeated(txn: &mut Txn<'_>, new: &NewSession) -> Result<Option<Created>, OpError> {
    if let Some(Effect::Created {
        session_id,
        evicted,
    }) = txn.effect(new.mark)?
    {
        let session = txn.current(session_id, &Scope::All)?;
        return Ok(Some(Created { session, evicted }));
    }
    match txn.meet(new.session_id)? {
        Lookup::Live(stored) if stored.record.token == new.token => Ok(Some(Created {
            session: txn.shared.shown(*stored, txn.now),
            evicted: Vec::new(),
        })),
        Lookup::Live(_) | Lookup::Ended(_) => Err(Refusal::TokenInUse.into()),
        Lookup::Unknown => {
            txn.forget(new.session_id)?;
            Ok(None)
        }
    }
}

/// Whether a session has or had this token. A token of the gateway's own names its session, whose id is looked for
/// anyway.
fn token_in_use(txn: &mut Txn<'_>, token: &StoredToken) -> Result<bool, StoreError> {
    if token.origin == TokenOrigin::Gateway {
        return Ok(false);
    }
    let Some(holder) = txn.holder(&token.hash)? else {
        return Ok(false);
    };
    match txn.meet(holder)? {
        Lookup::Live(_) | Lookup::Ended(_) => Ok(true),
        Lookup::Unknown => {
            txn.forget(holder)?;
            Ok(false)
        }
    }
}

/// The sessions that must end so that the limit holds with one more.
fn sessions_over(
    txn: &mut Txn<'_>,
    new: &NewSession,
    limit: &SessionLimit,
) -> Result<Vec<StoredSession>, OpError> {
    let mut counted = live_sessions(txn, &new.login_id)?;
    match limit.per {
        LimitPer::Login => {}
        LimitPer::Device => counted.retain(|stored| stored.record.session.device == new.device),
    }
    if counted.len() < limit.max {
        return Ok(Vec::new());
    }
    if limit.max == 0 {
        return Err(Refusal::LimitReached.into());
    }
    let age: fn(&Session) -> Timestamp = match limit.overflow {
        Overflow::Refuse => return Err(Refusal::LimitReached.into()),
        Overflow::EvictOldest => |session| session.created_at,
        Overflow::EvictLeastActive => |session| session.last_active_at,
    };
    counted.sort_by_key(|stored| {
        let session = &stored.record.session;
        (age(session), session.session_id)
    });
    counted.truncate(counted.len() + 1 - limit.max);
    Ok(counted)
}

/// The live sessions of a login. Those that are over end on the way.
fn live_sessions(txn: &mut Txn<'_>, login_id: &LoginId) -> Result<Vec<StoredSession>, StoreError> {
    let mut live = Vec::new();
    for session_id in session_ids(txn, login_id)? {
        if let Lookup::Live(stored) = txn.meet(session_id)?
            && stored.record.session.login_id == *login_id
        {
            live.push(*stored);
        }
    }
    Ok(live)
}

/// The stored sessions under a login's key, in the order of their ids.
pub(super) fn session_ids(txn: &Txn<'_>, login_id: &LoginId) -> Result<Vec<SessionId>, StoreError> {
    let login = login_key(login_id);
    let mut ids = Vec::new();
    for entry in txn.logins.range((&login, &FIRST_ID)..=(&login, &LAST_ID))? {
        let key = entry?.0;
        let (_, id) = key.value();
        ids.push(SessionId::from_bytes(*id));
    }
    Ok(ids)
}
