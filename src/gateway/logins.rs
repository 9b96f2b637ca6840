//! Login ids: all sessions of one user, and whether the user is put out.

use super::{Caller, Gateway, GatewayError};
use crate::model::id::LoginId;
use crate::model::login::{Ban, LoginSummary};

impl Gateway {
    /// What is known about a login.
    pub async fn find_login(&self, login_id: &LoginId) -> Result<LoginSummary, GatewayError> {
        Ok(self.stores.sessions.login(login_id).await?)
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
