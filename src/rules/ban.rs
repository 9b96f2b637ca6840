//! Bans of logins.

use super::end::EndAll;
use super::plan::{Decision, Plan, Write};
use super::refusal::Refusal;
use super::terms::Terms;
use crate::model::Timestamp;
use crate::model::event::{Change, Fact};
use crate::model::id::{LoginId, ServiceId};
use crate::model::login::Ban;
use crate::model::session::{EndDetail, EndReason};

/// A ban to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBan {
    /// Whose sessions to refuse.
    pub login_id: LoginId,
    /// The first moment at which not to refuse them any more; none if the ban has no end.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: EndDetail,
}

impl EndAll {
    /// Every session that a ban ends.
    #[must_use]
    pub fn banned_by(ban: &Ban) -> Self {
        Self {
            login_id: ban.login_id.clone(),
            except: None,
            device: None,
            reason: EndReason::Banned,
            detail: Some(ban.reason.clone()),
        }
    }
}

/// What is stored under a login's key, if it is a ban of this login and in force.
#[must_use]
pub fn in_force(stored: Option<Ban>, login_id: &LoginId, now: Timestamp) -> Option<Ban> {
    stored.filter(|ban| ban.login_id == *login_id && ban.holds(now))
}

/// Bans a login, in place of any ban it has.
#[must_use]
pub fn ban(new: NewBan, by: ServiceId, terms: &Terms) -> Decision<Ban> {
    Decision::make(|plan| {
        let ban = Ban {
            login_id: new.login_id,
            until: new.until,
            reason: new.reason,
            at: terms.now,
            by,
        };
        let change = Change::LoginBanned {
            until: ban.until,
            reason: ban.reason.clone(),
            by: ban.by.clone(),
        };
        plan.tell_of_login(&ban.login_id, &ban.by, change, terms);
        plan.writes.push(Write::PutBan(ban.clone()));
        ban
    })
}

/// Lifts the ban of a login.
#[must_use]
pub fn unban(
    stored: Option<Ban>,
    login_id: &LoginId,
    by: &ServiceId,
    terms: &Terms,
) -> Decision<Result<(), Refusal>> {
    Decision::make(|plan| {
        let ban = in_force(stored, login_id, terms.now).ok_or(Refusal::BanUnknown)?;
        let change = Change::LoginUnbanned { by: by.clone() };
        plan.tell_of_login(&ban.login_id, by, change, terms);
        plan.writes.push(Write::DropBan(ban.login_id));
        Ok(())
    })
}

impl Plan {
    fn tell_of_login(&mut self, login_id: &LoginId, by: &ServiceId, change: Change, terms: &Terms) {
        self.events.push(Fact {
            at: terms.now,
            session_id: None,
            login_id: Some(login_id.clone()),
            service_id: by.clone(),
            change,
        });
    }
}
