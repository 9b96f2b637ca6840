//! How far one partition was told.

use super::{History, Position};

/// A partition as far as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct Mark {
    /// Nothing at or before it is still to be told.
    pub(in crate::store) position: Position,
    /// The last event that stands there or before; zero if there is none.
    pub(in crate::store) last: Position,
    /// The millisecond up to which all events were told that clocks which run on give such a position.
    pub(in crate::store) until: u64,
    /// Whose history this is a position in, if that is known.
    pub(in crate::store) history: Option<History>,
}
