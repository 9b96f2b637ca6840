//! How an operation is asked for: by whom, on which condition, and whether it may be a repetition.

use crate::model::id::{ServiceId, SessionId};
use crate::model::permission::Scope;

/// Who acts, and how far they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The acting service.
    pub service_id: ServiceId,
    /// Sessions outside it look missing.
    pub scope: Scope,
}

impl Access {
    /// A service that sees every session.
    #[must_use]
    pub fn to_all(service_id: &ServiceId) -> Self {
        Self {
            service_id: service_id.clone(),
            scope: Scope::All,
        }
    }
}

/// The version a write expects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Whatever it is.
    #[default]
    None,
    /// One of these.
    Versions(Vec<u64>),
}

impl Precondition {
    /// Whether a session of this version may be written.
    #[must_use]
    pub fn allows(&self, version: u64) -> bool {
        match self {
            Self::None => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

/// Names one effect, so that repeating the operation with the same id within 24 hours does nothing more and tells what
/// the first did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationId(pub [u8; 32]);

/// The session a write is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The session.
    pub session_id: SessionId,
    /// Who writes.
    pub access: Access,
    /// The version it must have.
    pub precondition: Precondition,
    /// Set when the write may be a repetition.
    pub operation_id: Option<OperationId>,
}

/// Whether asking for a session counts as use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It does.
    Yes,
    /// It does not; that its token was shown is noted all the same.
    No,
    /// Nobody shows the token for anything: it leaves no trace.
    Look,
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// What the store says now.
    Now,
    /// What this node knows will do, if it is not older than the bound of its cache.
    Bounded,
}
