//! The names of keys. All keys of one login share the hash tag of its shard; ids and hashes stand in them as bytes.
//!
//! | key | type | |
//! | --- | --- | --- |
//! | `sgw:{7f}:s:<session id>` | hash | a record, live or ended |
//! | `sgw:{7f}:l:<hash of login id>` | zset | the ids of a login's sessions |
//! | `sgw:{7f}:m:<hash of login id>` | hash | the ban of a login |
//! | `sgw:{7f}:p:<hash of login id>` | hash | the profile of a login, and the load of it |
//! | `sgw:{7f}:i` · `sgw:{7f}:x` | zset | all ids · ids by the moment at which to look whether they are over |
//! | `sgw:{7f}:e` | stream | events |
//! | `sgw:{7f}:b` | string | the last heartbeat |
//! | `sgw:{7f}:k:<operation_id>` | hash | what an operation with this operation id did |
//! | `sgw:{7f}:k:<session id>` | string | nothing is opened under this id any more |
//! | `sgw:t:<hash of token>` | string | where the token of a caller leads |
//! | `sgw:k:<claim>` | hash | the claim of an idempotency key |
//! | `sgw:{services}:r` · `sgw:{services}:e` | hash · stream | services · their events |
//! | `sgw:{services}:g` | string | when a service was removed last, for a minute |
//! | `sgw:keys` | hash | the keyring, a field for each purpose |
//! | `sgw:{services}:n` | zset | networks that are slowed down, by the end of that |
//! | `sgw:{services}:f` | string | the format that is written, if it is not the first |
//!
//! Everything but the services, the keyring, the format and bans without an end has a TTL from the moment it exists: records and
//! indexes outlive the greatest age of a session by the grace of the sweep, streams the last event by twice the time that
//! events are kept. No TTL decides anything: moments in the records do.

use super::connections::Slot;
use crate::model::id::{LoginId, SessionId};
use crate::model::token::CredentialHash;

/// The tag of all that is about services.
pub(super) const SERVICES: Slot = Slot::Of("services");

#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    channel: String,
}

/// The slot of a session, which its id tells.
pub(super) fn slot_of(session_id: SessionId) -> Slot {
    let [.., shard] = *session_id.as_bytes();
    Slot::Shard(shard)
}

/// The slot of all that is about a login.
pub(super) fn slot_of_login(login_id: &LoginId) -> Slot {
    Slot::Shard(login_id.shard())
}

/// The part of a login's digest that its key has; records are compared with the whole login id.
pub(super) fn login_key(login_id: &LoginId) -> Vec<u8> {
    login_id.digest().into_iter().take(16).collect()
}

impl Keys {
    /// Channels, unlike keys, are shared by all databases of a server.
    pub(super) fn new(prefix: &str, database: u16) -> Self {
        Self {
            prefix: prefix.to_owned(),
            channel: format!("{prefix}:events:{database}"),
        }
    }

    /// Where events are told at once.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// The key of this name under the tag of a slot.
    fn tagged(&self, slot: Slot, name: &str) -> Vec<u8> {
        let prefix = &self.prefix;
        let key = match slot {
            Slot::Shard(shard) => format!("{prefix}:{{{shard:02x}}}:{name}"),
            Slot::Of(tag) => format!("{prefix}:{{{tag}}}:{name}"),
            Slot::Hash(_) => format!("{prefix}:{name}"),
        };
        key.into_bytes()
    }

    /// The keys that every script on a hash tag takes.
    pub(super) fn indexes(&self, slot: Slot) -> Vec<Vec<u8>> {
        ["i", "x", "e"].map(|name| self.tagged(slot, name)).to_vec()
    }

    pub(super) fn events(&self, slot: Slot) -> Vec<u8> {
        self.tagged(slot, "e")
    }

    /// Where heartbeats write.
    pub(super) fn heartbeat(&self, slot: Slot) -> Vec<u8> {
        self.tagged(slot, "b")
    }

    pub(super) fn ids(&self, slot: Slot) -> Vec<u8> {
        self.tagged(slot, "i")
    }

    pub(super) fn services(&self) -> Vec<u8> {
        self.tagged(SERVICES, "r")
    }

    pub(super) fn keyring(&self) -> Vec<u8> {
        format!("{}:keys", self.prefix).into_bytes()
    }

    pub(super) fn throttles(&self) -> Vec<u8> {
        self.tagged(SERVICES, "n")
    }

    /// Where it is noted which format is written.
    pub(super) fn format(&self) -> Vec<u8> {
        self.tagged(SERVICES, "f")
    }

    pub(super) fn record(&self, session_id: SessionId) -> Vec<u8> {
        let mut key = self.tagged(slot_of(session_id), "s:");
        key.extend(session_id.as_bytes());
        key
    }

    pub(super) fn login(&self, login_id: &LoginId) -> Vec<u8> {
        let mut key = self.tagged(slot_of_login(login_id), "l:");
        key.extend(login_key(login_id));
        key
    }

    pub(super) fn profile(&self, login_id: &LoginId) -> Vec<u8> {
        let mut key = self.tagged(slot_of_login(login_id), "p:");
        key.extend(login_key(login_id));
        key
    }

    pub(super) fn token(&self, hash: &CredentialHash) -> Vec<u8> {
        self.hashed("t:", hash.as_bytes())
    }

    pub(super) fn idempotency_record(&self, claim: &[u8; 32]) -> Vec<u8> {
        self.hashed("k:", claim)
    }

    /// Where readiness writes.
    pub(super) fn check(&self) -> Vec<u8> {
        self.tagged(SERVICES, "check")
    }

    fn hashed(&self, name: &str, hash: &[u8]) -> Vec<u8> {
        let mut key = format!("{}:{name}", self.prefix).into_bytes();
        key.extend(hash);
        key
    }
}
