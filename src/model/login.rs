//! What is known about a login id.

use serde::Serialize;
use utoipa::ToSchema;

use super::Timestamp;
use super::id::LoginId;
use super::session::Device;

/// What is known about a login id; zeros and nulls for one that was never seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoginSummary {
    /// The login id that was asked for.
    pub login_id: LoginId,
    /// How many of its sessions are live.
    pub session_count: u64,
    /// The device kinds of its live sessions, each once, in alphabetical order.
    pub devices: Vec<Device>,
    /// The latest activity of any live session.
    #[schema(required = true)]
    pub last_active_at: Option<Timestamp>,
    /// Whether a live connection of this login is registered.
    pub online: bool,
    /// Until when no session may be opened for it.
    #[schema(required = true)]
    pub banned_until: Option<Timestamp>,
}
