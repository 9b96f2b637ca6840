//! Writes to one session, whatever they are.

use std::time::Duration;

use super::change::{Changed, change, heartbeat, refresh};
use super::end::end;
use super::plan::Decision;
use super::refusal::Refusal;
use super::target::TargetFacts;
use super::terms::Terms;
use crate::model::record::SessionChange;
use crate::model::request::Target;
use crate::model::session::{ConnectionStats, EndReason};
use crate::model::token::CredentialHash;

/// What is to be written to a session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionWrite {
    /// A change that somebody asks for.
    Change(SessionChange),
    /// Its idle expiry moves to so long (or the idle timeout) from now, never past the absolute one.
    Refresh(Option<Duration>),
    /// A sign of life: it is used and active, and the counters of its connection are kept.
    Heartbeat(Option<ConnectionStats>),
    /// It ends for good; with a token only if that is a good one of it.
    End(EndReason, Option<CredentialHash>),
}

impl SessionWrite {
    /// What comes of it.
    #[must_use]
    pub fn decide(
        self,
        facts: TargetFacts,
        target: &Target,
        terms: &Terms,
    ) -> Decision<Result<Changed, Refusal>> {
        match self {
            Self::Change(asked) => change(facts, target, asked, terms),
            Self::Refresh(ttl) => refresh(facts, target, ttl, terms),
            Self::Heartbeat(stats) => heartbeat(facts, target, stats, terms),
            Self::End(reason, token) => end(facts, target, reason, token.as_ref(), terms),
        }
    }
}
