//! Login ids: all sessions of one user, and putting users out.

use super::{Caller, FieldRule, Gateway, GatewayError};
use crate::model::Timestamp;
use crate::model::id::{LoginId, SessionId};
use crate::model::login::{Ban, LoginSummary};
use crate::model::session::{Device, EndDetail, EndReason};
use crate::rules::ban::NewBan;
use crate::rules::end::EndAll;

impl Gateway {
    /// What is known about a login.
    pub async fn find_login(&self, login_id: &LoginId) -> Result<LoginSummary, GatewayError> {
        Ok(self.stores.sessions.login(login_id).await?)
    }

    /// Ends the sessions of a login, all but `except`, or those on one kind of device. Nothing that was opened before
    /// the call slips through.
    pub async fn end_all(
        &self,
        caller: &Caller,
        login_id: LoginId,
        except: Option<SessionId>,
        device: Option<Device>,
        reason: EndReason,
    ) -> Result<Vec<SessionId>, GatewayError> {
        let which = EndAll {
            login_id,
            except,
            device,
            reason,
            detail: None,
        };
        let sessions = &self.stores.sessions;
        Ok(sessions.end_all(which, &caller.access()).await?)
    }

    /// Ends the sessions of a login, or those on one kind of device, as `kicked_out`, and tells how many.
    pub async fn kick_out(
        &self,
        caller: &Caller,
        login_id: LoginId,
        device: Option<Device>,
        detail: EndDetail,
    ) -> Result<usize, GatewayError> {
        let which = EndAll {
            login_id,
            except: None,
            device,
            reason: EndReason::KickedOut,
            detail: Some(detail),
        };
        let sessions = &self.stores.sessions;
        Ok(sessions.end_all(which, &caller.access()).await?.len())
    }

    /// Bans a login in place of any ban it has, and ends its sessions.
    pub async fn ban(
        &self,
        caller: &Caller,
        login_id: LoginId,
        until: Option<Timestamp>,
        reason: EndDetail,
    ) -> Result<Ban, GatewayError> {
        let sessions = &self.stores.sessions;
        if until.is_some_and(|until| until <= sessions.now()) {
            return Err(GatewayError::invalid("until", FieldRule::Future));
        }
        let new = NewBan {
            login_id,
            until,
            reason,
        };
        Ok(sessions.ban(new, caller.id()).await?.ban)
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
