//! A session as callers see it, and what remains of it when it is over.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Timestamp;
use super::attribute::Attributes;
use super::id::{LoginId, ServiceId, SessionId};
use super::permission::Scope;
use super::session_token::{FormerTokens, StoredToken};
use super::text::text_type;
use super::words::growing_words;

text_type! {
    /// The kind of device a session runs on, such as `web` or `ios`.
    Device, word, max = 64, example = "web"
}
text_type! {
    /// The id of one device, chosen by the caller.
    DeviceId, printable, max = 256, example = "iphone-15-a3f0"
}
text_type! {
    /// The id of a live connection, chosen by the caller.
    ConnectionId, printable, max = 256, example = "c-81f2"
}
text_type! {
    /// The `User-Agent` of the client.
    UserAgent, printable, max = 1024, example = "Mozilla/5.0"
}
text_type! {
    /// The address of the server that holds the connection.
    ServerAddr, printable, max = 256, example = "edge-3.example.net:443"
}

/// Where a session stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Opened, not yet heard of.
    Connecting,
    /// In use.
    Active,
    /// Without activity for `SGW_IDLE_AFTER`; derived, never stored.
    Idle,
    /// About to end.
    Disconnecting,
    /// Over.
    Closed,
}

/// The states a session can start in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstState {
    /// In use.
    #[default]
    Active,
    /// Not yet heard of.
    Connecting,
}

impl From<FirstState> for SessionState {
    fn from(first: FirstState) -> Self {
        match first {
            FirstState::Active => Self::Active,
            FirstState::Connecting => Self::Connecting,
        }
    }
}

/// Counters of the session's connection, as its holder last reported them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionStats {
    /// Packets sent to the client.
    pub packets_sent: u64,
    /// Packets received from the client.
    pub packets_received: u64,
    /// Bytes sent to the client.
    pub bytes_sent: u64,
    /// Bytes received from the client.
    pub bytes_received: u64,
    /// Packets sent again.
    pub retransmissions: u64,
    /// Round-trip time in milliseconds.
    #[schema(format = Int64, maximum = 4_294_967_295_u32)]
    pub rtt_ms: u32,
}

/// A login session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its handle.
    pub session_id: SessionId,
    /// Whose session it is; never changes.
    pub login_id: LoginId,
    /// The service that opened it.
    pub service_id: ServiceId,
    /// The kind of device.
    #[schema(required = true)]
    pub device: Option<Device>,
    /// Which device.
    #[schema(required = true)]
    pub device_id: Option<DeviceId>,
    /// Where it stands in its life.
    pub state: SessionState,
    /// Its live connection.
    #[schema(required = true)]
    pub connection_id: Option<ConnectionId>,
    /// The client's address.
    #[schema(required = true, value_type = Option<String>, min_length = 2, max_length = 45, example = "203.0.113.7")]
    pub client_ip: Option<IpAddr>,
    /// The client's port.
    #[schema(required = true, maximum = 65_535)]
    pub client_port: Option<u16>,
    /// The client's user agent.
    #[schema(required = true)]
    pub user_agent: Option<UserAgent>,
    /// The server that holds the connection.
    #[schema(required = true)]
    pub server_addr: Option<ServerAddr>,
    /// What the services keep in it.
    pub attributes: Attributes,
    /// Counters of its connection.
    #[schema(required = true)]
    pub stats: Option<ConnectionStats>,
    /// Counts what callers write to it; timers do not count.
    pub version: u64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_active_at: Timestamp,
    /// When it dies: the earlier of the two below.
    pub expires_at: Timestamp,
    /// When it dies if it is not used; moves with use.
    pub idle_expires_at: Timestamp,
    /// When it dies whatever happens; never moves.
    pub max_expires_at: Timestamp,
}

/// What moves with the use of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it was last used.
    pub last_active_at: Timestamp,
    /// When it dies if it is not used.
    pub expires_at: Timestamp,
}

impl Session {
    /// Gives it these times.
    pub fn live(&mut self, life: Life) {
        self.last_active_at = life.last_active_at;
        self.idle_expires_at = life.expires_at;
        self.expires_at = life.expires_at;
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its user logged out.
    Logout,
    /// A service put its user out.
    KickedOut,
    /// A newer session took its place under a limit.
    Replaced,
    /// It was not used for too long.
    IdleTimeout,
    /// It reached its greatest age.
    MaxAge,
    /// Its login was banned.
    Banned,
    /// A rotated token of it was used again.
    TokenReuse,
    /// An operator ended it.
    Admin,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Logout,
        Self::KickedOut,
        Self::Replaced,
        Self::IdleTimeout,
        Self::MaxAge,
        Self::Banned,
        Self::TokenReuse,
        Self::Admin,
    ];

    /// Its word, as answers and stores write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::KickedOut => "kicked_out",
            Self::Replaced => "replaced",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxAge => "max_age",
            Self::Banned => "banned",
            Self::TokenReuse => "token_reuse",
            Self::Admin => "admin",
        }
    }

    /// Whether it comes with time and not from anybody.
    #[must_use]
    pub const fn is_by_age(self) -> bool {
        match self {
            Self::IdleTimeout | Self::MaxAge => true,
            Self::Logout
            | Self::KickedOut
            | Self::Replaced
            | Self::Banned
            | Self::TokenReuse
            | Self::Admin => false,
        }
    }
}

growing_words!(EndReason, "Why a session ended.");

text_type! {
    /// Why somebody put a user out, in their own words.
    EndDetail, printable, max = 512, example = "reported by three users"
}

/// What is told of a session that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ended {
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended; for an expiry, the moment of expiry.
    pub at: Timestamp,
    /// The service that ended it; null for an expiry.
    #[schema(required = true)]
    pub by: Option<ServiceId>,
    /// What the service that put its user out said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<EndDetail>,
}

impl Ended {
    /// It was over by its age.
    #[must_use]
    pub const fn by_age(reason: EndReason, at: Timestamp) -> Self {
        Self {
            reason,
            at,
            by: None,
            detail: None,
        }
    }

    /// A service ended it.
    #[must_use]
    pub const fn by_service(reason: EndReason, at: Timestamp, by: ServiceId) -> Self {
        Self {
            reason,
            at,
            by: Some(by),
            detail: None,
        }
    }
}

/// The part of [`Ended`] that tombstones of every format have; its detail, if there is one, is stored beside it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Ended")]
struct EndedWithoutDetail {
    reason: EndReason,
    at: Timestamp,
    by: Option<ServiceId>,
    #[serde(skip)]
    detail: Option<EndDetail>,
}

/// What a store keeps of an ended session until `SGW_TOMBSTONE_RETENTION` is over. Nothing turns it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The session.
    pub session_id: SessionId,
    /// Whose it was.
    pub login_id: LoginId,
    /// The service that had opened it.
    pub service_id: ServiceId,
    /// When, why and by whom it ended.
    #[serde(with = "EndedWithoutDetail")]
    pub ended: Ended,
    /// Its token, which counts as in use until the tombstone is gone.
    pub token: StoredToken,
    /// The tokens before that.
    pub former: Option<FormerTokens>,
    /// When the service that had opened it had been registered, as its record told.
    #[serde(skip)]
    pub registration: Option<Timestamp>,
}

impl Tombstone {
    /// Whether one who sees no further than this sees it.
    #[must_use]
    pub fn is_within(&self, scope: &Scope) -> bool {
        scope.covers(self.session_id, &self.service_id, self.registration)
    }
}
