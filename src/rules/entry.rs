//! What stands under the id of a session, and what is told of it.

use std::time::Duration;

use super::kept::Kept;
use super::refusal::Refusal;
use super::terms::Terms;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::session::{Ended, Tombstone};

/// What stands under the id of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEntry {
    /// Its record, with every use of it that is known counted. It may be over by its age.
    Record(Box<SessionRecord>),
    /// Its tombstone, whose time may be over.
    Tombstone(Box<Kept<Tombstone>>),
    /// Nothing.
    Missing,
}

/// The three answers about a session; the third is the error beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It lives.
    Live(Box<T>),
    /// It is over, and this is why.
    Ended(Box<Tombstone>),
    /// It was never known, or its tombstone is gone.
    Unknown,
}

impl<T> Lookup<T> {
    /// The same, with something else told of a live one.
    pub fn map<U>(self, tell: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Live(found) => Lookup::Live(Box::new(tell(*found))),
            Self::Ended(tombstone) => Lookup::Ended(tombstone),
            Self::Unknown => Lookup::Unknown,
        }
    }

    /// The live one, or the fact that stands against it.
    pub fn live(self) -> Result<T, Refusal> {
        match self {
            Self::Live(found) => Ok(*found),
            Self::Ended(tombstone) => Err(Refusal::SessionEnded(tombstone)),
            Self::Unknown => Err(Refusal::SessionUnknown),
        }
    }
}

/// The end of a session: its record becomes this tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What is left of it.
    pub tombstone: Kept<Tombstone>,
    /// How long it had lived.
    pub lived: Duration,
}

impl Ending {
    pub(super) fn of(record: &SessionRecord, ended: Ended, terms: &Terms) -> Self {
        Self {
            lived: ended.at.since(record.session.created_at),
            tombstone: Kept {
                until: ended.at.plus(terms.tombstone_retention),
                value: record.end(ended),
            },
        }
    }
}

impl SessionEntry {
    /// The session.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::Record(record) => Some(record.session.session_id),
            Self::Tombstone(kept) => Some(kept.value.session_id),
            Self::Missing => None,
        }
    }

    /// The end that its age has brought, or that it is marked with, if nobody wrote so yet.
    pub(super) fn expiry(&self, terms: &Terms) -> Option<Ending> {
        let Self::Record(record) = self else {
            return None;
        };
        Some(Ending::of(record, record.over(terms.now)?, terms))
    }

    /// What is told of it, whether or not its expiry has been written.
    pub(super) fn told(self, terms: &Terms) -> Lookup<SessionRecord> {
        match self.expiry(terms) {
            Some(ending) => ended(ending.tombstone, terms.now),
            None => self.settled(terms.now),
        }
    }

    /// What is told of it if age has had its way already.
    pub(super) fn settled(self, now: Timestamp) -> Lookup<SessionRecord> {
        match self {
            Self::Record(record) => Lookup::Live(record),
            Self::Tombstone(kept) => ended(*kept, now),
            Self::Missing => Lookup::Unknown,
        }
    }
}

fn ended(kept: Kept<Tombstone>, now: Timestamp) -> Lookup<SessionRecord> {
    if kept.is_over(now) {
        Lookup::Unknown
    } else {
        Lookup::Ended(Box::new(kept.value))
    }
}

impl Lookup<SessionRecord> {
    /// The same to one who sees no further than this.
    pub(super) fn within(self, scope: &Scope) -> Self {
        let is_seen = match &self {
            Self::Live(record) => record.is_within(scope),
            Self::Ended(tombstone) => tombstone.is_within(scope),
            Self::Unknown => false,
        };
        if is_seen { self } else { Self::Unknown }
    }
}
