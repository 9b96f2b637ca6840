//! The session that a write is for.

use super::entry::SessionEntry;
use super::operation::FirstRun;
use super::plan::Plan;
use super::refusal::Refusal;
use super::terms::Terms;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::request::Target;

/// What a write to a session is decided from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFacts {
    /// What is kept under the operation id of the target.
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
