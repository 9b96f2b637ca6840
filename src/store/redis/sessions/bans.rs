//! Bans of logins: written in the slot of the login's sessions, so that a create meets them in its own script.

use super::super::activity::Noted;
use super::super::call::{List, call};
use super::super::connections::Effect;
use super::super::keys::{login_key, slot_of_login};
use super::super::record::SESSION;
use super::super::reply::Reply;
use super::Sessions;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::login::Ban;
use crate::model::request::Access;
use crate::model::session::{EndDetail, EndReason};
use crate::rules::ban::NewBan;
use crate::rules::end::EndAll;
use crate::rules::refusal::Refusal;
use crate::store::node::recovery::{BanState, RecoveryEntry};
use crate::store::{EndPosition, MarkedBatch, OpError, StoreError};

/// What error messages call a ban.
const BAN: &str = "ban";
/// Sessions of a login that one step marks at the most: it takes a server some 5 µs for each.
const MARKED: usize = 200;

call! {
    struct PutBan<'a>: "ban.lua", "", [SHARD, BANS] {
        login_key: Vec<u8>,
        login: &'a LoginId,
        ends: Option<Timestamp>,
        reason: &'a EndDetail,
        by: &'a ServiceId,
    }
    BAN, replicated: true, effect: Effect::Repeatable;
    (self, reply) -> Timestamp { "done" => reply.moment()?, }
}

call! {
    struct FindBan<'a>: "find_ban.lua", "no-writes", [SHARD, BANS] {
        login_key: Vec<u8>,
        login: &'a LoginId,
    }
    BAN, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> Option<Ban> {
        "done" => Some(read(self.login, reply)?),
        "none" => None,
    }
}

call! {
    struct LiftBan<'a>: "unban.lua", "allow-oom", [SHARD, BANS] {
        login_key: Vec<u8>,
        login: &'a LoginId,
        by: &'a ServiceId,
    }
    BAN, replicated: true, effect: Effect::Once;
    (self, reply) -> Option<Timestamp> {
        "done" => Some(reply.moment()?),
        "none" => None,
    }
}

call! {
    struct Mark<'a>: "mark.lua", "allow-oom", [SHARD, SESSION] {
        login: &'a LoginId,
        at: Timestamp,
        reason: EndReason,
        by: &'a ServiceId,
        detail: &'a EndDetail,
        sessions: List<Noted>,
    }
    SESSION, replicated: true, effect: Effect::Repeatable;
    (self, reply) -> u64 { "done" => reply.number()?.unsigned_abs(), }
}

call! {
    struct BanAgain<'a>: "ban_again.lua", "", [SHARD, BANS] {
        login_key: Vec<u8>,
        login: &'a LoginId,
        at: Timestamp,
        by: &'a ServiceId,
        ends: Option<Timestamp>,
        reason: Option<&'a EndDetail>,
    }
    BAN, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> bool { "done" => reply.number()? == 1, }
}

impl Sessions {
    pub(super) async fn put_ban(&self, new: NewBan, by: &ServiceId) -> Result<Ban, StoreError> {
        let put = |_attempt| PutBan {
            login_key: login_key(&new.login_id),
            login: &new.login_id,
            ends: new.until,
            reason: &new.reason,
            by,
        };
        let slot = slot_of_login(&new.login_id);
        let at = self.client.call_through(slot, put).await?;
        let ban = Ban {
            login_id: new.login_id,
            until: new.until,
            reason: new.reason,
            at,
            by: by.clone(),
        };
        self.log.keep(RecoveryEntry::Ban(BanState::banned(&ban)));
        Ok(ban)
    }

    pub(super) async fn mark_banned(
        &self,
        ban: &Ban,
        after: Option<SessionId>,
    ) -> Result<MarkedBatch, StoreError> {
        let (_, ids) = self.members(&ban.login_id, after, MARKED).await?;
        let mark = |_attempt| Mark {
            login: &ban.login_id,
            at: ban.at,
            reason: EndReason::Banned,
            by: &ban.by,
            detail: &ban.reason,
            sessions: self.activity.noted(&ids),
        };
        let slot = slot_of_login(&ban.login_id);
        Ok(MarkedBatch {
            count: self.client.call_through(slot, mark).await?,
            last: ids.last().filter(|_| ids.len() == MARKED).copied(),
        })
    }

    pub(super) async fn find_ban(&self, login: &LoginId) -> Result<Option<Ban>, StoreError> {
        let find = FindBan {
            login_key: login_key(login),
            login,
        };
        self.client.call(slot_of_login(login), &find).await
    }

    pub(super) async fn unban(&self, login: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        let lift = LiftBan {
            login_key: login_key(login),
            login,
            by,
        };
        let lifted = self.client.call(slot_of_login(login), &lift).await?;
        let at = lifted.ok_or(Refusal::BanUnknown)?;
        self.log.keep(RecoveryEntry::Ban(BanState {
            login_id: login.clone(),
            ban: None,
            at,
            by: by.clone(),
        }));
        Ok(())
    }

    /// Whether a login was not as it was left before a failover. If its ban was lost, so are the sessions opened since.
    pub(in crate::store::redis) async fn leave_ban_again(
        &self,
        left: &BanState,
    ) -> Result<bool, StoreError> {
        let ban = left.ban.as_ref();
        let restore = BanAgain {
            login_key: login_key(&left.login_id),
            login: &left.login_id,
            at: left.at,
            by: &left.by,
            ends: ban.and_then(|ban| ban.until),
            reason: ban.map(|ban| &ban.reason),
        };
        let slot = slot_of_login(&left.login_id);
        let again = self.client.call(slot, &restore).await?;
        if let Some(ban) = ban.filter(|ban| again || ban.holds(self.client.clock(slot).now)) {
            let batch = EndAll::banned_by(ban).batch(Access::to_all(&ban.by));
            // What was marked may be marked no more, whether the ban was lost or not.
            let mut position = (!again).then(|| EndPosition::before_all(ban.at));
            while let Some(next) = self.end_batch(&batch, position, usize::MAX).await?.next {
                position = Some(next);
            }
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
