//! Sessions over the cache.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Proof;
use super::copies::Copies;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::login::{Ban, LoginSummary};
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::Scope;
use crate::model::record::SessionChange;
use crate::model::session::{ConnectionStats, EndReason, Session};
use crate::model::token::PresentedToken;
use crate::store::{
    Access, Banned, BulkEffect, Changed, Created, EndAll, EndOutcome, EndWhere, Lookup, NewBan,
    NewSession, OpError, Part, Rotated, SessionFilter, SessionStore, StoreError, StoreHealth,
    Target, TokenRotation, Touch, Verified,
};

/// Keeps copies of sessions that were found by their tokens.
#[derive(Debug)]
pub(super) struct CachedSessions {
    store: Arc<dyn SessionStore>,
    copies: Arc<Copies>,
    proof: Proof,
}

impl CachedSessions {
    pub(super) fn new(store: Arc<dyn SessionStore>, copies: Arc<Copies>, proof: Proof) -> Self {
        Self {
            store,
            copies,
            proof,
        }
    }

    fn known_session(&self, token: &PresentedToken) -> Option<SessionId> {
        token.session_id.or_else(|| self.copies.holder(&token.hash))
    }

    /// What a copy tells, if there is a good one.
    fn copy(&self, token: &PresentedToken, touch: Touch) -> Option<Verified> {
        let session_id = self.known_session(token)?;
        if !self.proof.holds(Part::of_session(session_id)) {
            return None;
        }
        let copy = self.copies.session(session_id)?;
        // Uses on other nodes are not told: only this very use makes the times of an older copy right.
        let tells = match touch {
            Touch::Yes => true,
            Touch::No => self.proof.is_recent(copy.read_at),
        };
        if !tells || copy.found.record.token.hash != token.hash {
            return None;
        }
        self.store.find_again(&copy.found, touch)
    }

    fn ended(&self, session_ids: &[SessionId]) {
        for session_id in session_ids {
            self.copies.void_session(*session_id);
        }
    }

    /// Whatever came of a write, what was known before it is not known any more.
    fn written<T>(&self, session_id: SessionId, outcome: T) -> T {
        self.copies.void_session(session_id);
        outcome
    }
}

#[async_trait]
impl SessionStore for CachedSessions {
    fn recall(&self, token: &PresentedToken, touch: Touch) -> Option<Verified> {
        let known = self.copy(token, touch);
        self.copies.asked_of_sessions.count(known.is_some());
        known
    }

    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        let known = self.known_session(token);
        let begun = known.map(|session_id| self.copies.begin_session(session_id));
        let found = self.store.find_by_token(token, touch).await?;
        let Lookup::Live(live) = &found else {
            return Ok(found);
        };
        let session_id = live.record.session.session_id;
        if token.session_id.is_none() {
            self.copies.note_holder(&token.hash, session_id);
        }
        if let Some(begun) = begun.filter(|_| known == Some(session_id)) {
            self.copies.keep_session(Verified::clone(live), begun);
        }
        Ok(found)
    }

    fn find_again(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        self.store.find_again(found, touch)
    }

    async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        let part = Part::of_login(&new.login_id);
        let outcome = self.store.create(new).await;
        match &outcome {
            Ok(created) => self.ended(&created.evicted),
            Err(OpError::Refused(_)) => {}
            Err(OpError::Store(_)) => self.copies.void_part(part),
        }
        outcome
    }

    async fn change(&self, target: Target, change: SessionChange) -> Result<Changed, OpError> {
        let session_id = target.session_id;
        self.written(session_id, self.store.change(target, change).await)
    }

    async fn refresh(&self, target: Target, ttl: Option<Duration>) -> Result<Session, OpError> {
        let session_id = target.session_id;
        self.written(session_id, self.store.refresh(target, ttl).await)
    }

    async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Session, OpError> {
        let session_id = target.session_id;
        self.written(session_id, self.store.heartbeat(target, stats).await)
    }

    async fn session_of(&self, token: &PresentedToken) -> Result<Option<SessionId>, StoreError> {
        self.store.session_of(token).await
    }

    async fn rotate(&self, rotation: TokenRotation) -> Result<Rotated, OpError> {
        let session_id = rotation.session_id;
        self.written(session_id, self.store.rotate(rotation).await)
    }

    async fn end(&self, target: Target, reason: EndReason) -> Result<EndOutcome, OpError> {
        let session_id = target.session_id;
        self.written(session_id, self.store.end(target, reason).await)
    }

    async fn revoke(&self, token: &PresentedToken, access: &Access) -> Result<(), StoreError> {
        let outcome = self.store.revoke(token, access).await;
        if let Some(session_id) = self.known_session(token) {
            self.copies.void_session(session_id);
        }
        outcome
    }

    async fn end_all(&self, which: EndAll, access: &Access) -> Result<Vec<SessionId>, StoreError> {
        let part = Part::of_login(&which.login_id);
        let outcome = self.store.end_all(which, access).await;
        match &outcome {
            Ok(ended) => self.ended(ended),
            Err(_) => self.copies.void_part(part),
        }
        outcome
    }

    async fn end_where(&self, which: EndWhere, access: &Access) -> Result<u64, OpError> {
        let effect = which.effect;
        let outcome = self.store.end_where(which, access).await;
        match effect {
            BulkEffect::Count => {}
            BulkEffect::End => {
                for shard in 0..=u8::MAX {
                    self.copies.void_part(Part::Shard(shard));
                }
            }
        }
        outcome
    }

    async fn ban(&self, new: NewBan, by: &ServiceId) -> Result<Banned, StoreError> {
        let part = Part::of_login(&new.login_id);
        let outcome = self.store.ban(new, by).await;
        match &outcome {
            Ok(banned) => self.ended(&banned.ended),
            Err(_) => self.copies.void_part(part),
        }
        outcome
    }

    async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        self.store.find_ban(login_id).await
    }

    async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        self.store.unban(login_id, by).await
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    async fn check(&self) -> Result<StoreHealth, StoreError> {
        self.store.check().await
    }

    async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        self.store.find(session_id, scope).await
    }

    async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError> {
        self.store.list(filter, scope, limit, cursor).await
    }

    async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        self.store.count(login_id).await
    }

    async fn login(&self, login_id: &LoginId) -> Result<LoginSummary, StoreError> {
        self.store.login(login_id).await
    }

    async fn sweep(&self) -> Result<bool, StoreError> {
        self.store.sweep().await
    }
}
