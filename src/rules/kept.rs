//! What is kept for a time.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// Something that counts until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept<T> {
    /// The first moment at which it does not count any more.
    pub until: Timestamp,
    /// What it is.
    pub value: T,
}

impl<T> Kept<T> {
    /// Whether it counts no more.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}
