//! The contract of sessions, operation by operation.

use async_trait::async_trait;

use super::super::connections::Slot;
use super::super::{RedisStore, health};
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::health::StoreHealth;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::login::Ban;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::Scope;
use crate::model::request::{Target, Touch};
use crate::model::session::Session;
use crate::model::token::PresentedToken;
use crate::rules::ban::NewBan;
use crate::rules::change::Changed;
use crate::rules::create::{Created, NewSession};
use crate::rules::end::EndBatch;
use crate::rules::entry::Lookup;
use crate::rules::rotate::{Rotated, TokenRotation};
use crate::rules::write::SessionWrite;
use crate::store::{
    EndPosition, EndedBatch, MarkedBatch, OpError, SessionStore, StoreError, Verified,
};

#[async_trait]
impl SessionStore for RedisStore {
    fn now(&self) -> Timestamp {
        self.client.clock(Slot::Shard(0)).now
    }

    async fn check(&self) -> Result<StoreHealth, StoreError> {
        health::check(&self.client).await
    }

    async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        self.sessions.create(new).await
    }

    async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        self.sessions.find(session_id, scope).await
    }

    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        self.sessions.find_by_token(token, touch).await
    }

    fn revalidate(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        self.sessions.revalidate(found, touch)
    }

    async fn write(&self, target: Target, write: SessionWrite) -> Result<Changed, OpError> {
        match write {
            SessionWrite::Change(change) => self.sessions.change(target, change).await,
            SessionWrite::Refresh(ttl) => self.sessions.refresh(target, ttl).await,
            SessionWrite::Heartbeat(stats) => self.sessions.heartbeat(target, stats).await,
            SessionWrite::End(reason, token) => self.sessions.end(&target, reason, token).await,
        }
    }

    async fn session_of(&self, token: &PresentedToken) -> Result<Option<SessionId>, StoreError> {
        self.sessions.session_of(token).await
    }

    async fn rotate(&self, asked: TokenRotation) -> Result<Rotated, OpError> {
        self.sessions.rotate(asked).await
    }

    async fn end_batch(
        &self,
        batch: &EndBatch,
        from: Option<EndPosition>,
        most: usize,
    ) -> Result<EndedBatch, StoreError> {
        self.sessions.end_batch(batch, from, most).await
    }

    async fn mark_banned(
        &self,
        ban: &Ban,
        after: Option<SessionId>,
    ) -> Result<MarkedBatch, StoreError> {
        self.sessions.mark_banned(ban, after).await
    }

    async fn put_ban(&self, new: NewBan, by: &ServiceId) -> Result<Ban, StoreError> {
        self.sessions.put_ban(new, by).await
    }

    async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        self.sessions.find_ban(login_id).await
    }

    async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        self.sessions.unban(login_id, by).await
    }

    async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError> {
        self.sessions.list(filter, scope, limit, cursor).await
    }

    async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        self.sessions.count(login_id).await
    }

    async fn index_size(&self, login_id: &LoginId) -> Result<u64, StoreError> {
        self.sessions.index_size(login_id).await
    }

    async fn sweep(&self) -> Result<bool, StoreError> {
        self.sessions.sweep().await
    }
}
