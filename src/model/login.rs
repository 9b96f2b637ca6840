//! What is known about a login id.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Timestamp;
use super::id::{LoginId, ServiceId};
use super::session::{Device, EndDetail, Session};

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
    /// Until when no session may be opened for it: the end of the year 9999 if its ban has no end.
    #[schema(required = true)]
    pub banned_until: Option<Timestamp>,
    /// Set where it has more than 1,000 sessions: `session_count` may count some that are over, and the rest is of the
    /// newest 1,000.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub partial: bool,
}

impl LoginSummary {
    /// Of a login without sessions.
    #[must_use]
    pub fn new(login_id: LoginId, ban: Option<&Ban>) -> Self {
        Self {
            login_id,
            session_count: 0,
            devices: Vec::new(),
            last_active_at: None,
            online: false,
            banned_until: ban.map(Ban::shown_end),
            partial: false,
        }
    }

    /// Takes in a live session. An index by a digest may hold those of another login too: they make no difference.
    pub fn add(&mut self, session: Session) {
        if session.login_id != self.login_id {
            return;
        }
        self.session_count += 1;
        self.online |= session.connection_id.is_some();
        self.last_active_at = self.last_active_at.max(Some(session.last_active_at));
        if let Some(device) = session.device
            && let Err(place) = self.devices.binary_search(&device)
        {
            self.devices.insert(place, device);
        }
    }
}

/// A login for which no session may be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// Whose sessions are refused.
    pub login_id: LoginId,
    /// The first moment at which they are not refused any more; null if the ban has no end.
    #[schema(required = true)]
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: EndDetail,
    /// When it was written.
    pub at: Timestamp,
    /// The service that wrote it.
    pub by: ServiceId,
}

impl Ban {
    /// The last moment that texts can name with four digits for the year.
    const NO_END: Timestamp = Timestamp::from_millis(253_402_300_799_999);

    /// Whether it is in force.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Its end as summaries show it.
    #[must_use]
    pub fn shown_end(&self) -> Timestamp {
        self.until.unwrap_or(Self::NO_END)
    }
}
