//! What is stored.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::model::event::Fact;
use crate::model::id::LoginId;
use crate::model::profile::Profile;
use crate::model::record::SessionRecord;
use crate::rules::terms::Kept;

/// A live session, and where its entry in the expiry index stands: at its expiry or before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredSession {
    pub(super) record: SessionRecord,
    pub(super) indexed_at: Timestamp,
}

/// An event and when it was appended: an expiry tells of a moment before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredEvent {
    pub(super) appended_at: Timestamp,
    pub(super) fact: Fact,
}

/// An idempotency key in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredClaim {
    pub(super) fingerprint: [u8; 32],
    pub(super) sealed_draw: Vec<u8>,
    pub(super) lease_until: Timestamp,
    pub(super) sealed_answer: Option<Vec<u8>>,
}

/// What a load without a profile came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LoadNote {
    /// There is no such user.
    Missing,
    /// Nobody knows.
    Failed,
}

/// The profile of a login, and the load of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredProfile {
    pub(super) login_id: LoginId,
    pub(super) kept: Option<Kept<Profile>>,
    /// The ticket of the load that is under way, under its lease.
    pub(super) load: Option<Kept<[u8; 16]>>,
    pub(super) note: Option<Kept<LoadNote>>,
}
