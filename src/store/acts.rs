//! What operations of this node did to sessions, told once each.

use std::time::Duration;

use crate::model::session::EndReason;

/// Something that an operation of this node did to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It opened one.
    Opened,
    /// It ended one, or met the end that came with its age.
    Ended {
        /// Why.
        reason: EndReason,
        /// How long the session had lived.
        lived: Duration,
    },
}
