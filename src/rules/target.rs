//! The session that a write is for.

use super::entry::SessionEntry;
use super::operation::{FirstRun, Mark};
use super::plan::Plan;
use super::refusal::Refusal;
use super::terms::Terms;
use crate::model::id::{ServiceId, SessionId};
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;

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
    pub mark: Option<Mark>,
}

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

/// What a write to a session is decided from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFacts {
    /// What is kept under the mark of the target.
    pub first_run: Option<FirstRun>,
    /// What stands under the id of the session.
    pub session: SessionEntry,
}

impl Plan {
    /// The session, if it lives and is in sight.
    pub(super) fn live(
        &mut self,
        entry: SessionEntry,
        scope: &Scope,
        terms: &Terms,
    ) -> Result<SessionRecord, Refusal> {
        let found = self.settle(entry, terms).settled(terms.now);
        found.within(scope).live()
    }

    /// The same, if it also has the version that the write expects.
    pub(super) fn reach(
        &mut self,
        entry: SessionEntry,
        target: &Target,
        terms: &Terms,
    ) -> Result<SessionRecord, Refusal> {
        let record = self.live(entry, &target.access.scope, terms)?;
        if target.precondition.allows(record.session.version) {
            Ok(record)
        } else {
            Err(Refusal::VersionConflict)
        }
    }
}
