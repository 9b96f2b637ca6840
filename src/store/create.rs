//! Opening a session: what is asked for, and what came of it.

use std::net::IpAddr;
use std::time::Duration;

use super::Mark;
use crate::model::Timestamp;
use crate::model::attribute::Attributes;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::limit::SessionLimit;
use crate::model::record::SessionRecord;
use crate::model::session::{
    ConnectionId, Device, DeviceId, ServerAddr, Session, SessionState, UserAgent,
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
    /// `active`, unless it is still `connecting`.
    pub state: SessionState,
    /// How long it lives without use.
    pub idle_timeout: Duration,
    /// How long it lives at most.
    pub max_age: Duration,
    /// How many sessions there may be.
    pub limit: Option<SessionLimit>,
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
    pub mark: Option<Mark>,
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
