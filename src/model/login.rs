//! Login ids: who a session belongs to.

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::Timestamp;
use super::session::Device;
use super::text::text_type;

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

/// What is known about a login id; zeros and nulls for one that was never seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoginSummary {
    /// The login id that was asked for.
    pub login_id: LoginId,
    /// How many of its sessions are live.
    pub session_count: u64,
    /// The device kinds of its live sessions, each once, in alphabetical order.
    pub devices: Vec<Device>,
    /// The latest activity of any live session.
    pub last_active_at: Option<Timestamp>,
    /// Whether a live connection of this login is registered.
    pub online: bool,
    /// Until when no session may be opened for it.
    pub banned_until: Option<Timestamp>,
}
