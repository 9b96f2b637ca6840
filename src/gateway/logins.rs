//! Login ids: all sessions of one user, and whether the user is put out.

use super::{Caller, FieldRule, Gateway, GatewayError};
use crate::model::Timestamp;
use crate::model::id::LoginId;
use crate::model::login::{Ban, LoginSummary};
use crate::model::session::EndDetail;
use crate::rules::ban::NewBan;
use crate::store::Banned;

impl Gateway {
    /// What is known about a login.
    pub async fn find_login(&self, login_id: &LoginId) -> Result<LoginSummary, GatewayError> {
        Ok(self.stores.sessions.login(login_id).await?)
    }

    /// Bans a login in place of any ban it has. All of its sessions have ended then.
    pub async fn ban(
        &self,
        caller: &Caller,
        login_id: LoginId,
        until: Option<Timestamp>,
        reason: EndDetail,
    ) -> Result<Banned, GatewayError> {
        let sessions = &self.stores.sessions;
        if until.is_some_and(|until| until <= sessions.now()) {
            return Err(GatewayError::invalid("until", FieldRule::Future));
        }
        let new = NewBan {
            login_id,
            until,
            reason,
        };
        Ok(sessions.ban(new, caller.id()).await?)
    }

    /// The ban of a login that is in force.
    pub async fn find_ban(&self, login_id: &LoginId) -> Result<Ban, GatewayError> {
        let ban = self.stores.sessions.find_ban(login_id).await?;
        ban.ok_or(GatewayError::BanNotFound)
    }

    /// Lifts the ban of a login that is in force.
    pub async fn unban(&self, caller: &Caller, login_id: &LoginId) -> Result<(), GatewayError> {
        Ok(self.stores.sessions.unban(login_id, caller.id()).await?)
    }
}
