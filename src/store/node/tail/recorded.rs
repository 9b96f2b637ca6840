//! What is recorded with an event, beyond what is told of it.

use std::time::Duration;

use crate::model::event::Fact;

/// Names a node: a random number, another one in each store that is opened.
pub(in crate::store) type NodeId = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Recorded {
    pub(in crate::store) fact: Fact,
    /// Whose operation did it; nothing where a version before this field recorded it.
    pub(in crate::store) node: Option<NodeId>,
    pub(in crate::store) lived: Option<Duration>,
}
