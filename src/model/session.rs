//! A session as callers see it, and what remains of it when it is over.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{Builder, Uuid};

use super::Timestamp;
use super::attribute::Attributes;
use super::login::LoginId;
use super::service::ServiceId;
use super::text::text_type;
use super::token::CredentialHash;

/// The handle of a session: a UUID version 7 (RFC 9562) whose last byte is the shard of its login. It is no credential.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid, example = "0198c7a4-5f2e-7c31-9d20-6b1f0a52e37f")]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new id for a session of this login, from ten random bytes of which the last gives way to the shard.
    #[must_use]
    pub fn new(now: Timestamp, login_id: &LoginId, random: [u8; 10]) -> Self {
        let mut random = random;
        random[9] = login_id.shard();
        Self(Builder::from_unix_timestamp_millis(now.sort_key(), &random).into_uuid())
    }

    /// Reads the hyphenated form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return None;
        }
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The id with these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes, which sort by the time the id was made.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

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

/// Counters of the session's connection, as its holder last reported them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
    pub device: Option<Device>,
    /// Which device.
    pub device_id: Option<DeviceId>,
    /// Where it stands in its life.
    pub state: SessionState,
    /// Its live connection.
    pub connection_id: Option<ConnectionId>,
    /// The client's address.
    #[schema(value_type = Option<String>, example = "203.0.113.7")]
    pub client_ip: Option<IpAddr>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The client's user agent.
    pub user_agent: Option<UserAgent>,
    /// The server that holds the connection.
    pub server_addr: Option<ServerAddr>,
    /// What the services keep in it.
    pub attributes: Attributes,
    /// Counters of its connection.
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

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
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

/// What is told of a session that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ended {
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended; for an expiry, the moment of expiry.
    pub at: Timestamp,
    /// The service that ended it; null for an expiry.
    pub by: Option<ServiceId>,
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
    pub ended: Ended,
    /// Its token, which counts as in use until the tombstone is gone.
    pub token: StoredToken,
}

/// What a store keeps of a session's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// SHA-256 of the token.
    pub hash: CredentialHash,
    /// Who made it, which decides whether an index must lead from it to the session.
    pub origin: TokenOrigin,
}

/// Who made a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenOrigin {
    /// The gateway: the token tells its session id.
    Gateway,
    /// The caller: an index leads from its hash to the session.
    Caller,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_carry_the_shard_of_their_login() {
        let login = LoginId::parse("user123").unwrap();
        let early = SessionId::new(Timestamp::from_millis(1_000), &login, [255; 10]);
        let late = SessionId::new(Timestamp::from_millis(1_001), &login, [0; 10]);
        assert!(early < late);
        assert_eq!(late.as_bytes()[15], login.shard());
        assert_eq!(late.0.get_version_num(), 7);
        assert_eq!(SessionId::parse(&late.to_string()), Some(late));
        assert_eq!(SessionId::parse(&late.0.simple().to_string()), None);
    }
}
