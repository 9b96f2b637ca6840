//! Logins as they were left: banned or not.

use crate::model::Timestamp;
use crate::model::event::{Change, Fact};
use crate::model::id::{LoginId, ServiceId};
use crate::model::login::Ban;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct BanState {
    pub(in crate::store) login_id: LoginId,
    /// Its ban; nothing if that was lifted.
    pub(in crate::store) ban: Option<Ban>,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) by: ServiceId,
}

impl BanState {
    pub(in crate::store) fn banned(ban: &Ban) -> Self {
        Self {
            login_id: ban.login_id.clone(),
            ban: Some(ban.clone()),
            at: ban.at,
            by: ban.by.clone(),
        }
    }

    /// What an event tells of a login, if it is about a ban.
    pub(super) fn of(fact: &Fact) -> Option<Self> {
        let (ban, by) = match &fact.change {
            Change::LoginBanned { until, reason, by } => {
                let ban = Ban {
                    login_id: fact.login_id.clone()?,
                    until: *until,
                    reason: reason.clone(),
                    at: fact.at,
                    by: by.clone(),
                };
                (Some(ban), by)
            }
            Change::LoginUnbanned { by } => (None, by),
            Change::SessionCreated { .. }
            | Change::SessionChanged { .. }
            | Change::SessionRotated { .. }
            | Change::SessionEnded { .. }
            | Change::ServiceChanged { .. } => return None,
        };
        Some(Self {
            login_id: fact.login_id.clone()?,
            ban,
            at: fact.at,
            by: by.clone(),
        })
    }
}
