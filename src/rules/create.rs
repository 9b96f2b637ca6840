//! Opening a session: repetition, ids and tokens in use, bans, and the limit of its login.

use std::net::IpAddr;
use std::time::Duration;

use super::ban;
use super::entry::{Ending, Lookup, SessionEntry};
use super::operation::{FirstRun, OperationRecord};
use super::plan::{Decision, Plan, Write};
use super::refusal::Refusal;
use super::terms::Terms;
use crate::model::Timestamp;
use crate::model::attribute::Attributes;
use crate::model::event::Change;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::limit::{LimitPer, Overflow, SessionLimit};
use crate::model::login::Ban;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::request::OperationId;
use crate::model::session::{
    ConnectionId, Device, DeviceId, EndReason, Ended, ServerAddr, Session, SessionState, UserAgent,
};
use crate::model::session_token::StoredToken;

/// A session to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id, drawn by the caller.
    pub session_id: SessionId,
    /// Its credential.
    pub token: StoredToken,
    /// Whose it is.
    pub login_id: LoginId,
    /// The service that opens it.
    pub service_id: ServiceId,
    /// When that was registered.
    pub registration: Option<Timestamp>,
    /// `active`, unless it is still `connecting`.
    pub state: SessionState,
    /// How long it lives without use.
    pub idle_timeout: Duration,
    /// How long it lives at most.
    pub max_age: Duration,
    /// How many sessions there may be.
    pub limit: Option<SessionLimit>,
    /// Whose sessions the limit counts and ends.
    pub limit_scope: Scope,
    /// What is kept in it.
    pub attributes: Attributes,
    /// The kind of device.
    pub device: Option<Device>,
    /// Which device.
    pub device_id: Option<DeviceId>,
    /// Its live connection.
    pub connection_id: Option<ConnectionId>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The client's user agent.
    pub user_agent: Option<UserAgent>,
    /// The server that holds the connection.
    pub server_addr: Option<ServerAddr>,
    /// Set when the create may be a repetition.
    pub operation_id: Option<OperationId>,
}

impl NewSession {
    /// The record of this session, opened at `now`.
    #[must_use]
    pub fn open(self, now: Timestamp) -> SessionRecord {
        let max_expires_at = now.plus(self.max_age);
        let idle_expires_at = now.plus(self.idle_timeout).min(max_expires_at);
        SessionRecord {
            session: Session {
                session_id: self.session_id,
                login_id: self.login_id,
                service_id: self.service_id,
                device: self.device,
                device_id: self.device_id,
                state: self.state,
                connection_id: self.connection_id,
                client_ip: self.client_ip,
                client_port: self.client_port,
                user_agent: self.user_agent,
                server_addr: self.server_addr,
                attributes: self.attributes,
                stats: None,
                version: 1,
                created_at: now,
                last_active_at: now,
                expires_at: idle_expires_at,
                idle_expires_at,
                max_expires_at,
            },
            idle_timeout: self.idle_timeout,
            token: self.token,
            rotation: None,
            registration: self.registration,
            marked: None,
        }
    }
}

/// A session was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The session.
    pub session: Session,
    /// The sessions that ended to make room for it.
    pub evicted: Vec<SessionId>,
}

/// What a create is decided from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateFacts {
    /// What is kept under its operation id.
    pub first_run: Option<FirstRun>,
    /// What stands under its id.
    pub same_id: SessionEntry,
    /// What a token leads to that the caller brought. A token of the gateway's own names its session, whose id is looked
    /// for anyway.
    pub token_holder: SessionEntry,
    /// The ban of its login, whether or not it is in force.
    pub ban: Option<Ban>,
    /// The other sessions of its login, if there is a limit to them.
    pub of_login: LoginSessions,
}

/// The sessions that the index of a login tells of, beside those that are looked at anyway: the new one and the holder of
/// its token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginSessions {
    /// The first in the order of their ids, at most [`Self::JUDGED`].
    pub oldest: Vec<SessionEntry>,
    /// How many follow them. Of those that are over the limit by themselves it makes no difference how many they are.
    pub more: usize,
}

impl LoginSessions {
    /// Sessions that one create looks at, so that none takes long however many a login has.
    pub const JUDGED: usize = 200;
}

/// Opens the session, unless it was opened before or something stands against it.
#[must_use]
pub fn create(
    facts: CreateFacts,
    new: NewSession,
    terms: &Terms,
) -> Decision<Result<Created, Refusal>> {
    Decision::make(|plan| {
        if let Some(first) = repeated(plan, facts.first_run, facts.same_id, &new, terms)? {
            return Ok(first);
        }
        // One that stands under the id as well has been settled.
        if facts.token_holder.session_id() != Some(new.session_id)
            && settle_or_forget(plan, facts.token_holder, terms) != Lookup::Unknown
        {
            return Err(Refusal::TokenInUse);
        }
        if ban::in_force(facts.ban, &new.login_id, terms.now).is_some() {
            return Err(Refusal::LoginBanned);
        }
        let mut evicted = Vec::new();
        for record in over_limit(plan, facts.of_login, &new, terms)? {
            let ended = Ended::by_service(EndReason::Replaced, terms.now, new.service_id.clone());
            plan.end(Ending::of(&record, ended, terms));
            evicted.push(record.session.session_id);
        }
        Ok(open(plan, new, evicted, terms))
    })
}

fn open(plan: &mut Plan, new: NewSession, evicted: Vec<SessionId>, terms: &Terms) -> Created {
    let operation_id = new.operation_id;
    let record = new.open(terms.now);
    let session = terms.shown(record.clone());
    let device = session.device.clone();
    plan.writes.push(Write::Open(Box::new(record)));
    plan.tell(&session, terms.now, Change::SessionCreated { device });
    let operation = OperationRecord::Created {
        session_id: session.session_id,
        evicted: evicted.clone(),
    };
    plan.keep(operation_id, operation, terms);
    Created { session, evicted }
}

/// What the first attempt did, if this is not it. Without an operation id, the same id with the same token tells.
fn repeated(
    plan: &mut Plan,
    first_run: Option<FirstRun>,
    same_id: SessionEntry,
    new: &NewSession,
    terms: &Terms,
) -> Result<Option<Created>, Refusal> {
    if let Some(first) = first_run.filter(|first| !first.operation.is_over(terms.now))
        && let OperationRecord::Created { evicted, .. } = first.operation.value
    {
        let record = plan.live(first.session, &Scope::All, terms)?;
        let session = terms.shown(record);
        return Ok(Some(Created { session, evicted }));
    }
    match settle_or_forget(plan, same_id, terms) {
        Lookup::Live(record) if record.token == new.token => Ok(Some(Created {
            session: terms.shown(*record),
            evicted: Vec::new(),
        })),
        Lookup::Live(_) | Lookup::Ended(_) => Err(Refusal::TokenInUse),
        Lookup::Unknown => Ok(None),
    }
}

/// What is told of an entry. One of which nothing is told any more is forgotten, so that its token is free.
fn settle_or_forget(plan: &mut Plan, entry: SessionEntry, terms: &Terms) -> Lookup<SessionRecord> {
    let settled = plan.settle(entry, terms);
    if let SessionEntry::Tombstone(kept) = &settled
        && kept.is_over(terms.now)
    {
        plan.writes.push(Write::Forget(kept.clone()));
    }
    settled.settled(terms.now)
}

/// The sessions that must end so that the limit holds with one more. Those that are over do not count, and end on the
/// way; where even with them there are too few, nobody looks. Where there are more than can be looked at, the oldest give
/// way by their ids if the limit counts all of them; any other limit cannot be held.
fn over_limit(
    plan: &mut Plan,
    LoginSessions { oldest, more }: LoginSessions,
    new: &NewSession,
    terms: &Terms,
) -> Result<Vec<SessionRecord>, Refusal> {
    let reached = |limit: &SessionLimit| oldest.len() + more >= limit.max;
    let Some(limit) = new.limit.filter(reached) else {
        return Ok(Vec::new());
    };
    if more > 0 && !goes_by_id(&limit, new) {
        return Err(Refusal::LoginTooLarge);
    }
    let mut counted = Vec::new();
    for entry in oldest {
        if let Lookup::Live(record) = plan.settle(entry, terms).settled(terms.now)
            && counts(&limit, &record, new)
        {
            counted.push(*record);
        }
    }
    let Some(room) = limit.max.checked_sub(more + 1) else {
        return Err(match more {
            0 => Refusal::LimitReached,
            1.. => Refusal::LoginTooLarge,
        });
    };
    let surplus = counted.len().saturating_sub(room);
    let age: fn(&Session) -> Timestamp = match limit.overflow {
        Overflow::Refuse if surplus > 0 => return Err(Refusal::LimitReached),
        Overflow::EvictLeastActive => |session| session.last_active_at,
        Overflow::EvictOldest | Overflow::Refuse => |session| session.created_at,
    };
    if more == 0 {
        counted.sort_by_key(|record| (age(&record.session), record.session.session_id));
    }
    counted.truncate(surplus);
    Ok(counted)
}

fn goes_by_id(limit: &SessionLimit, new: &NewSession) -> bool {
    let kind = (limit.per, limit.overflow, &new.limit_scope);
    kind == (LimitPer::Login, Overflow::EvictOldest, &Scope::All)
}

/// Whether a live session stands in the way of one more.
fn counts(limit: &SessionLimit, record: &SessionRecord, new: &NewSession) -> bool {
    let session = &record.session;
    session.login_id == new.login_id
        && record.is_within(&new.limit_scope)
        && match limit.per {
            LimitPer::Login => true,
            LimitPer::Device => session.device == new.device,
        }
}
