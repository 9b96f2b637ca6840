//! Bans of logins: written in the slot of the login's sessions, so that a create meets them in its own script.

use super::super::args::Args;
use super::super::keys::slot_of_login;
use super::super::link::Effect;
use super::super::reply::Reply;
use super::super::scripts;
use super::Sessions;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId};
use crate::model::login::Ban;
use crate::model::session::EndDetail;
use crate::store::node::recovery::{BanState, Deed};
use crate::store::{Access, EndAll, NewBan, OpError, Refusal, StoreError};

/// What error messages call a ban.
const BAN: &str = "ban";

impl Sessions {
    pub(super) async fn put_ban(&self, new: NewBan, by: &ServiceId) -> Result<Ban, StoreError> {
        let args = Args::of_login(&new.login_id)
            .maybe(new.until.map(Timestamp::millis))
            .show(&new.reason)
            .show(by);
        let effect = Effect::Repeatable;
        let mut reply = self
            .client
            .run_replicated(slot_of_login(&new.login_id), &scripts::BAN, args, effect)
            .await?;
        let ban = match reply.text()?.as_str() {
            "done" => Ban {
                login_id: new.login_id,
                until: new.until,
                reason: new.reason,
                at: reply.moment()?,
                by: by.clone(),
            },
            word => return Err(reply.unexpected(BAN, word)),
        };
        self.log.keep(Deed::Ban(BanState::banned(&ban)));
        Ok(ban)
    }

    pub(super) async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        let args = Args::of_login(login_id);
        let effect = Effect::Repeatable;
        let mut reply = self
            .client
            .run(slot_of_login(login_id), &scripts::FIND_BAN, args, effect)
            .await?;
        match reply.text()?.as_str() {
            "done" => read(login_id, &mut reply).map(Some),
            "none" => Ok(None),
            word => Err(reply.unexpected(BAN, word)),
        }
    }

    pub(super) async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        let args = Args::of_login(login_id).show(by);
        let mut reply = self
            .client
            .run_replicated(slot_of_login(login_id), &scripts::UNBAN, args, Effect::Once)
            .await?;
        match reply.text()?.as_str() {
            "done" => {
                let lifted = BanState {
                    login_id: login_id.clone(),
                    ban: None,
                    at: reply.moment()?,
                    by: by.clone(),
                };
                self.log.keep(Deed::Ban(lifted));
                Ok(())
            }
            "none" => Err(Refusal::BanUnknown.into()),
            word => Err(reply.unexpected(BAN, word).into()),
        }
    }

    /// Whether a login was not as it was left before a failover. If its ban was lost, so are the sessions opened since.
    pub(in crate::store::redis) async fn leave_ban_again(
        &self,
        left: &BanState,
    ) -> Result<bool, StoreError> {
        let (until, reason) = match &left.ban {
            Some(ban) => (ban.until, Some(&ban.reason)),
            None => (None, None),
        };
        let args = Args::of_login(&left.login_id)
            .show(left.at.millis())
            .show(&left.by)
            .flag(left.ban.is_some())
            .maybe(until.map(Timestamp::millis))
            .maybe(reason);
        let effect = Effect::Repeatable;
        let mut reply = self
            .client
            .run(
                slot_of_login(&left.login_id),
                &scripts::BAN_AGAIN,
                args,
                effect,
            )
            .await?;
        let again = match reply.text()?.as_str() {
            "done" => reply.number()? == 1,
            word => return Err(reply.unexpected(BAN, word)),
        };
        if let Some(ban) = left.ban.as_ref().filter(|_| again) {
            let which = EndAll::banned(&NewBan {
                login_id: ban.login_id.clone(),
                until: ban.until,
                reason: ban.reason.clone(),
            });
            self.end_all(&which, &Access::to_all(&ban.by)).await?;
        }
        Ok(again)
    }
}

fn read(login_id: &LoginId, reply: &mut Reply) -> Result<Ban, StoreError> {
    let until = match reply.text()?.as_str() {
        "" => None,
        millis => Some(Timestamp::from_millis(millis.parse().map_err(corrupt)?)),
    };
    Ok(Ban {
        login_id: login_id.clone(),
        until,
        reason: EndDetail::parse(&reply.text()?).map_err(corrupt)?,
        at: reply.moment()?,
        by: ServiceId::parse(&reply.text()?).map_err(corrupt)?,
    })
}

fn corrupt(cause: impl Into<crate::store::Cause>) -> StoreError {
    StoreError::Corrupt {
        record: BAN,
        cause: cause.into(),
    }
}
