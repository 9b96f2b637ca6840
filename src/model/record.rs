//! What a store keeps of a live session, and the rules every store applies to it: expiry, use, change, end.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::Timestamp;
use super::attribute::{AttributeLimit, AttributeName, AttributePatch, AttributeValue};
use super::permission::Scope;
use super::session::{
    ConnectionId, ConnectionStats, Device, DeviceId, EndReason, Ended, Life, ServerAddr, Session,
    SessionState, Tombstone, UserAgent,
};
use super::session_token::{Rotation, StoredToken};

/// A live session with what callers do not see of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The session; its state is never `idle` or `closed` here.
    pub session: Session,
    /// How long it lives without use.
    pub idle_timeout: Duration,
    /// Its credential.
    pub token: StoredToken,
    /// How it got that, if not with its create.
    pub rotation: Option<Rotation>,
    /// When the service that opened it had been registered; sessions that versions before opened do not tell.
    #[serde(skip)]
    pub registration: Option<Timestamp>,
    /// How it has ended, if it is told so already and its end is still to be written.
    #[serde(skip)]
    pub marked: Option<Ended>,
}

/// A field of a patch: absent keeps, null clears, anything else sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Make it null.
    Clear,
    /// Give it this value.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Field<T> {
    /// The same with another value, if it gives one.
    pub fn map<U>(self, value: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Keep => Field::Keep,
            Self::Clear => Field::Clear,
            Self::Set(old) => Field::Set(value(old)),
        }
    }

    pub(super) fn apply(self, slot: &mut Option<T>) -> bool {
        match self {
            Self::Keep => return false,
            Self::Clear => *slot = None,
            Self::Set(value) => *slot = Some(value),
        }
        true
    }
}

/// A change of the fields of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionUpdate {
    /// The new state: never `idle`, which is derived, nor `closed`, which is an ending.
    pub state: Option<SessionState>,
    /// The kind of device.
    pub device: Field<Device>,
    /// Which device.
    pub device_id: Field<DeviceId>,
    /// Its live connection.
    pub connection_id: Field<ConnectionId>,
    /// The client's address.
    pub client_ip: Field<IpAddr>,
    /// The client's port.
    pub client_port: Field<u16>,
    /// The client's user agent.
    pub user_agent: Field<UserAgent>,
    /// The server that holds the connection.
    pub server_addr: Field<ServerAddr>,
    /// Counters of its connection.
    pub stats: Field<ConnectionStats>,
}

/// One change of a session; each adds 1 to its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChange {
    /// Merge patch of attributes.
    MergeAttributes(AttributePatch),
    /// Set one attribute, `null` included.
    PutAttribute(AttributeName, AttributeValue),
    /// Remove one attribute that must be there.
    RemoveAttribute(AttributeName),
    /// Add to one attribute; a missing one starts at 0.
    IncrementAttribute(AttributeName, i64),
    /// Change its fields.
    Update(Box<SessionUpdate>),
}

/// What a change did beyond its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Whether it added an attribute that was not there.
    pub inserted: bool,
    /// The names of the attributes it touched.
    pub attributes: Vec<AttributeName>,
    /// The names of the fields it touched.
    pub fields: Vec<String>,
}

/// Why a change cannot be made to this session. Nothing of it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unchangeable {
    /// The attribute to remove is not there.
    #[error("the session has no such attribute")]
    AttributeMissing,
    /// The attribute to increment is not a 64-bit integer, or would not be one afterwards.
    #[error("the attribute is not a 64-bit integer or would leave its range")]
    NotANumber,
    /// The session would grow over a limit.
    #[error(transparent)]
    Limit(#[from] AttributeLimit),
}

impl SessionRecord {
    /// How it has ended at `now`, if that is still to be written: by its age, or as it is marked.
    #[must_use]
    pub fn over(&self, now: Timestamp) -> Option<Ended> {
        let by_age = self.expired(now);
        let by_age = by_age.map(|(reason, at)| Ended::by_age(reason, at));
        let marked = self.marked.clone();
        match (by_age, marked) {
            (Some(by_age), Some(marked)) if marked.at < by_age.at => Some(marked),
            (by_age, marked) => by_age.or(marked),
        }
    }

    fn expired(&self, now: Timestamp) -> Option<(EndReason, Timestamp)> {
        let Session {
            idle_expires_at,
            max_expires_at,
            expires_at,
            ..
        } = self.session;
        if now < expires_at {
            return None;
        }
        let reason = if max_expires_at <= idle_expires_at {
            EndReason::MaxAge
        } else {
            EndReason::IdleTimeout
        };
        Some((reason, expires_at))
    }

    /// The life it has without any further use.
    #[must_use]
    pub fn life(&self) -> Life {
        Life {
            last_active_at: self.session.last_active_at,
            expires_at: self.session.expires_at,
        }
    }

    /// A life of it after a use at `at`: moves the idle expiry, never past the absolute one and never back.
    #[must_use]
    pub fn used(&self, life: Life, at: Timestamp) -> Life {
        let idle_expires_at = life.expires_at.max(at.plus(self.idle_timeout));
        Life {
            last_active_at: life.last_active_at.max(at),
            expires_at: idle_expires_at.min(self.session.max_expires_at),
        }
    }

    /// Counts as use at `at`.
    pub fn touch(&mut self, at: Timestamp) {
        let life = self.used(self.life(), at);
        self.session.live(life);
    }

    /// Gives it `ttl` from now, which may also shorten its life; never past the absolute expiry.
    pub fn refresh(&mut self, now: Timestamp, ttl: Option<Duration>) {
        let idle_expires_at = now.plus(ttl.unwrap_or(self.idle_timeout));
        self.session.live(Life {
            last_active_at: self.session.last_active_at.max(now),
            expires_at: idle_expires_at.min(self.session.max_expires_at),
        });
    }

    /// Counts as a sign of life, with the connection's counters if there are any; tells whether the state changed.
    pub fn heartbeat(&mut self, now: Timestamp, stats: Option<ConnectionStats>) -> bool {
        self.touch(now);
        if stats.is_some() {
            self.session.stats = stats;
        }
        let changes_state = self.session.state != SessionState::Active;
        if changes_state {
            self.session.state = SessionState::Active;
            self.session.version += 1;
        }
        changes_state
    }

    /// Makes one change, or none of it. Attribute writes count as use.
    pub fn apply(
        &mut self,
        change: SessionChange,
        now: Timestamp,
    ) -> Result<Applied, Unchangeable> {
        let mut applied = Applied::default();
        let mut attributes = self.session.attributes.clone();
        match change {
            SessionChange::MergeAttributes(patch) => {
                attributes.merge(&patch)?;
                applied.attributes = patch.names().cloned().collect();
            }
            SessionChange::PutAttribute(name, value) => {
                applied.attributes.push(name.clone());
                applied.inserted = !attributes.set(name, value);
            }
            SessionChange::RemoveAttribute(name) => {
                if !attributes.remove(&name) {
                    return Err(Unchangeable::AttributeMissing);
                }
                applied.attributes.push(name);
            }
            SessionChange::IncrementAttribute(name, by) => {
                let sum = sum(attributes.get(&name), by).ok_or(Unchangeable::NotANumber)?;
                applied.attributes.push(name.clone());
                applied.inserted = !attributes.set(name, AttributeValue::from(sum));
            }
            SessionChange::Update(update) => applied.fields = self.update(*update),
        }
        if !applied.attributes.is_empty() {
            attributes.check()?;
            self.touch(now);
        }
        self.session.attributes = attributes;
        self.session.version += 1;
        Ok(applied)
    }

    fn update(&mut self, update: SessionUpdate) -> Vec<String> {
        let session = &mut self.session;
        let touched = [
            (
                "state",
                update.state.map(|state| session.state = state).is_some(),
            ),
            ("device", update.device.apply(&mut session.device)),
            ("device_id", update.device_id.apply(&mut session.device_id)),
            (
                "connection_id",
                update.connection_id.apply(&mut session.connection_id),
            ),
            ("client_ip", update.client_ip.apply(&mut session.client_ip)),
            (
                "client_port",
                update.client_port.apply(&mut session.client_port),
            ),
            (
                "user_agent",
                update.user_agent.apply(&mut session.user_agent),
            ),
            (
                "server_addr",
                update.server_addr.apply(&mut session.server_addr),
            ),
            ("stats", update.stats.apply(&mut session.stats)),
        ];
        touched
            .into_iter()
            .filter(|(_, touched)| *touched)
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// The state in a life of it as it is shown at `now`: active becomes idle after `idle_after` without activity.
    #[must_use]
    pub fn shown_state(&self, life: Life, now: Timestamp, idle_after: Duration) -> SessionState {
        let quiet = now.since(life.last_active_at) >= idle_after;
        if self.session.state == SessionState::Active && quiet {
            SessionState::Idle
        } else {
            self.session.state
        }
    }

    /// The session as it is shown at `now`.
    #[must_use]
    pub fn shown(self, now: Timestamp, idle_after: Duration) -> Session {
        Session {
            state: self.shown_state(self.life(), now, idle_after),
            ..self.session
        }
    }

    /// Whether one who sees no further than this sees it.
    #[must_use]
    pub fn is_within(&self, scope: &Scope) -> bool {
        let session = &self.session;
        scope.covers(session.session_id, &session.service_id, self.registration)
    }

    /// The tombstone it becomes.
    #[must_use]
    pub fn end(&self, ended: Ended) -> Tombstone {
        Tombstone {
            session_id: self.session.session_id,
            login_id: self.session.login_id.clone(),
            service_id: self.session.service_id.clone(),
            ended,
            token: self.token,
            former: self.rotation.as_ref().map(|last| last.former.clone()),
            registration: self.registration,
        }
    }
}

/// What an attribute is when this is added to it; none where that is no 64-bit integer.
fn sum(held: Option<&AttributeValue>, by: i64) -> Option<i64> {
    let held = held.map_or(Some(0), AttributeValue::as_i64);
    held?.checked_add(by)
}
