//! Sessions, observed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Observer;
use super::operations::Operation;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::login::{Ban, LoginSummary};
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::Scope;
use crate::model::record::SessionChange;
use crate::model::session::{ConnectionStats, EndReason, Session};
use crate::model::token::PresentedToken;
use crate::store::{
    Access, Banned, Changed, Created, EndAll, EndOutcome, EndWhere, Lookup, NewBan, NewSession,
    OpError, Rotated, SessionFilter, SessionStore, StoreError, StoreHealth, Target, TokenRotation,
    Touch, Verified,
};

#[derive(Debug)]
pub(super) struct ObservedSessions {
    store: Arc<dyn SessionStore>,
    observer: Observer,
}

impl ObservedSessions {
    pub(super) fn new(store: Arc<dyn SessionStore>, observer: Observer) -> Self {
        Self { store, observer }
    }
}

#[async_trait]
impl SessionStore for ObservedSessions {
    fn now(&self) -> Timestamp {
        self.store.now()
    }

    fn find_again(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        self.store.find_again(found, touch)
    }

    fn recall(&self, token: &PresentedToken, touch: Touch) -> Option<Verified> {
        self.store.recall(token, touch)
    }

    async fn check(&self) -> Result<StoreHealth, StoreError> {
        let run = self.store.check();
        self.observer.see(Operation::Check, run).await
    }

    async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        let run = self.store.create(new);
        self.observer.see(Operation::Create, run).await
    }

    async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        let run = self.store.find(session_id, scope);
        self.observer.see(Operation::Find, run).await
    }

    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        let run = self.store.find_by_token(token, touch);
        self.observer.see(Operation::FindByToken, run).await
    }

    async fn change(&self, target: Target, change: SessionChange) -> Result<Changed, OpError> {
        let run = self.store.change(target, change);
        self.observer.see(Operation::Change, run).await
    }

    async fn refresh(&self, target: Target, ttl: Option<Duration>) -> Result<Session, OpError> {
        let run = self.store.refresh(target, ttl);
        self.observer.see(Operation::Refresh, run).await
    }

    async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Session, OpError> {
        let run = self.store.heartbeat(target, stats);
        self.observer.see(Operation::Heartbeat, run).await
    }

    async fn end(&self, target: Target, reason: EndReason) -> Result<EndOutcome, OpError> {
        let run = self.store.end(target, reason);
        self.observer.see(Operation::End, run).await
    }

    async fn revoke(&self, token: &PresentedToken, access: &Access) -> Result<(), StoreError> {
        let run = self.store.revoke(token, access);
        self.observer.see(Operation::Revoke, run).await
    }

    async fn session_of(&self, token: &PresentedToken) -> Result<Option<SessionId>, StoreError> {
        let run = self.store.session_of(token);
        self.observer.see(Operation::SessionOf, run).await
    }

    async fn rotate(&self, rotation: TokenRotation) -> Result<Rotated, OpError> {
        let run = self.store.rotate(rotation);
        self.observer.see(Operation::Rotate, run).await
    }

    async fn end_all(&self, which: EndAll, access: &Access) -> Result<Vec<SessionId>, StoreError> {
        let run = self.store.end_all(which, access);
        self.observer.see(Operation::EndAll, run).await
    }

    async fn end_where(&self, which: EndWhere, access: &Access) -> Result<u64, OpError> {
        let run = self.store.end_where(which, access);
        self.observer.see(Operation::EndWhere, run).await
    }

    async fn ban(&self, new: NewBan, by: &ServiceId) -> Result<Banned, StoreError> {
        let run = self.store.ban(new, by);
        self.observer.see(Operation::Ban, run).await
    }

    async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        let run = self.store.find_ban(login_id);
        self.observer.see(Operation::FindBan, run).await
    }

    async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        let run = self.store.unban(login_id, by);
        self.observer.see(Operation::Unban, run).await
    }

    async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError> {
        let run = self.store.list(filter, scope, limit, cursor);
        self.observer.see(Operation::List, run).await
    }

    async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        let run = self.store.count(login_id);
        self.observer.see(Operation::Count, run).await
    }

    async fn login(&self, login_id: &LoginId) -> Result<LoginSummary, StoreError> {
        let run = self.store.login(login_id);
        self.observer.see(Operation::Login, run).await
    }

    async fn sweep(&self) -> Result<bool, StoreError> {
        let run = self.store.sweep();
        self.observer.see(Operation::Sweep, run).await
    }
}
