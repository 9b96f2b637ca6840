//! Which sessions are meant, by what they are.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId};
use crate::model::session::{ConnectionId, Device, Session, SessionState};

/// Which sessions to list; every condition must hold. Bounds in time are exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SessionFilter {
    /// Of this login.
    pub login_id: Option<LoginId>,
    /// Opened by this service.
    pub service_id: Option<ServiceId>,
    /// On this kind of device.
    pub device: Option<Device>,
    /// In this state, as shown.
    pub state: Option<SessionState>,
    /// With this connection.
    pub connection_id: Option<ConnectionId>,
    /// From this address.
    pub client_ip: Option<IpAddr>,
    /// Opened after this moment.
    pub created_after: Option<Timestamp>,
    /// Opened before this moment.
    pub created_before: Option<Timestamp>,
    /// Last used after this moment.
    pub active_after: Option<Timestamp>,
    /// Last used before this moment.
    pub active_before: Option<Timestamp>,
}

impl SessionFilter {
    /// All sessions of a login.
    #[must_use]
    pub fn of_login(login_id: LoginId) -> Self {
        Self {
            login_id: Some(login_id),
            ..Self::default()
        }
    }

    /// The same without what is opened after `moment`.
    #[must_use]
    pub fn opened_until(&self, moment: Timestamp) -> Self {
        let bound = moment.plus(Duration::from_millis(1));
        Self {
            created_before: Some(self.created_before.map_or(bound, |asked| asked.min(bound))),
            ..self.clone()
        }
    }

    /// Whether it asks for no more than the login, if for that.
    #[must_use]
    pub fn asks_for_login_only(&self) -> bool {
        let login_id = self.login_id.clone();
        *self == login_id.map_or_else(Self::default, Self::of_login)
    }

    /// Whether a session can come to match, or cease to, while it lives.
    #[must_use]
    pub fn asks_for_what_changes(&self) -> bool {
        let lasting = Self {
            login_id: self.login_id.clone(),
            service_id: self.service_id.clone(),
            created_after: self.created_after,
            created_before: self.created_before,
            ..Self::default()
        };
        *self != lasting
    }

    /// Whether a session that is shown in this state is one of those asked for.
    #[must_use]
    pub fn matches(&self, session: &Session, state: SessionState) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, value: Option<&T>) -> bool {
            wanted.is_none() || wanted == value
        }
        is(self.login_id.as_ref(), Some(&session.login_id))
            && is(self.service_id.as_ref(), Some(&session.service_id))
            && is(self.device.as_ref(), session.device.as_ref())
            && is(self.state.as_ref(), Some(&state))
            && is(self.connection_id.as_ref(), session.connection_id.as_ref())
            && is(self.client_ip.as_ref(), session.client_ip.as_ref())
            && self
                .created_after
                .is_none_or(|bound| session.created_at > bound)
            && self
                .created_before
                .is_none_or(|bound| session.created_at < bound)
            && self
                .active_after
                .is_none_or(|bound| session.last_active_at > bound)
            && self
                .active_before
                .is_none_or(|bound| session.last_active_at < bound)
    }
}
