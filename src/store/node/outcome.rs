//! How operations end, for who counts and traces them.

use crate::store::{OpError, StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// A fact stood against it.
    Refused,
    /// Nobody knows.
    Failed,
    /// Nobody waited for its end.
    Abandoned,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Done, Self::Refused, Self::Failed, Self::Abandoned];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// How an operation ends with this error.
pub(super) trait HasOutcome {
    fn outcome(&self) -> Outcome;
}

impl HasOutcome for StoreError {
    fn outcome(&self) -> Outcome {
        Outcome::Failed
    }
}

impl HasOutcome for OpError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(_) => Outcome::Refused,
            Self::Store(_) => Outcome::Failed,
        }
    }
}
