//! The ids of the things that everything else speaks of: sessions, logins, services.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::{Builder, Uuid};

use super::Timestamp;
use super::text::text_type;

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

    /// When the id was made, by the clock of its store.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        let mut millis = [0; 8];
        for (slot, byte) in millis.iter_mut().skip(2).zip(self.as_bytes()) {
            *slot = *byte;
        }
        Timestamp::from_millis(i64::from_be_bytes(millis))
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
    /// The id under which a user logs in, chosen by the caller: any UTF-8 without control characters.
    LoginId, segment, max = 256, example = "user123"
}

impl LoginId {
    /// SHA-256 of the id. Keys are built from it, so that an id never decides their length or shape.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.as_str().as_bytes()).into()
    }

    /// The shard of all sessions of this login: the first byte of its digest.
    #[must_use]
    pub fn shard(&self) -> u8 {
        let [shard, ..] = self.digest();
        shard
    }
}

text_type! {
    /// The id of a registered service.
    ServiceId, word, max = 64, example = "api-gateway"
}

impl ServiceId {
    /// The service that is always there and may do everything.
    pub const ADMIN: &'static str = "admin";

    /// The id of the built-in service.
    #[must_use]
    pub fn admin() -> Self {
        Self(Self::ADMIN.into())
    }

    /// Whether this is the built-in service.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.as_str() == Self::ADMIN
    }
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
        assert_eq!(late.made_at(), Timestamp::from_millis(1_001));
        assert_eq!(SessionId::parse(&late.to_string()), Some(late));
        assert_eq!(SessionId::parse(&late.0.simple().to_string()), None);
    }
}
