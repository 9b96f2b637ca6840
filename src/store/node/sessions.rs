//! Operations on sessions, as callers ask for them: each is timed, and what the cache knew of the sessions it wrote is
//! forgotten before it answers.

use std::time::Duration;

use super::Handle;
use super::operations::Operation;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::login::Ban;
use crate::model::page::{Cursor, Page, PageLimit};
use crate::model::permission::Scope;
use crate::model::record::SessionChange;
use crate::model::session::{ConnectionStats, EndReason, Session};
use crate::model::token::PresentedToken;
use crate::store::{
    Access, Changed, Created, EndOutcome, Lookup, NewSession, OpError, Precondition, Rotated,
    SessionFilter, SessionStore, SessionWrite, StoreError, StoreHealth, Target, TokenRotation,
    Touch, Verified,
};

impl Handle<dyn SessionStore> {
    /// How the store is, if it can be read and written right now.
    pub async fn check(&self) -> Result<StoreHealth, StoreError> {
        self.timed(Operation::Check, self.engine().check()).await
    }

    /// Opens a session: [`SessionStore::create`].
    pub async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        let login_id = new.login_id.clone();
        let created = self
            .timed(Operation::Create, self.engine().create(new))
            .await;
        self.invalidate(|cache| match &created {
            Ok(created) => cache.invalidate_sessions(&created.evicted),
            Err(OpError::Refused(_)) => {}
            Err(OpError::Store(_)) => cache.invalidate_login(&login_id),
        });
        created
    }

    /// Looks for a session by its id: [`SessionStore::find`].
    pub async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        let find = self.engine().find(session_id, scope);
        self.timed(Operation::Find, find).await
    }

    /// Answers from a copy that this node keeps, if it keeps one that is not older than its bound. With
    /// [`Touch::Yes`] this counts as use.
    #[must_use]
    pub fn recall(&self, token: &PresentedToken, touch: Touch) -> Option<Verified> {
        let cache = self.cache.as_ref()?;
        cache.session(&**self.engine(), token, touch)
    }

    /// Looks for the session behind a token in the store: [`SessionStore::find_by_token`].
    pub async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        let cache = self.cache.as_ref();
        let begun = cache.and_then(|cache| cache.begin_session(token));
        let find = self.engine().find_by_token(token, touch);
        let found = self.timed(Operation::FindByToken, find).await?;
        if let Some(cache) = cache {
            cache.keep_session(token, begun, &found);
        }
        Ok(found)
    }

    /// Where a token leads: [`SessionStore::session_of`].
    pub async fn session_of(
        &self,
        token: &PresentedToken,
    ) -> Result<Option<SessionId>, StoreError> {
        let session_of = self.engine().session_of(token);
        self.timed(Operation::SessionOf, session_of).await
    }

    /// Makes one change, merged with all others: the session's version grows by exactly 1, or nothing happens.
    pub async fn change(&self, target: Target, change: SessionChange) -> Result<Changed, OpError> {
        self.write(Operation::Change, target, SessionWrite::Change(change))
            .await
    }

    /// Moves the idle expiry to `ttl` (or the idle timeout) from now, never past the absolute one.
    pub async fn refresh(&self, target: Target, ttl: Option<Duration>) -> Result<Session, OpError> {
        let refresh = SessionWrite::Refresh(ttl);
        let refreshed = self.write(Operation::Refresh, target, refresh).await?;
        Ok(refreshed.session)
    }

    /// Takes a sign of life: counts as use, makes the session active, keeps the counters.
    pub async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Session, OpError> {
        let heartbeat = SessionWrite::Heartbeat(stats);
        let taken = self.write(Operation::Heartbeat, target, heartbeat).await?;
        Ok(taken.session)
    }

    async fn write(
        &self,
        operation: Operation,
        target: Target,
        write: SessionWrite,
    ) -> Result<Changed, OpError> {
        let session_id = target.session_id;
        self.written(session_id, operation, self.engine().write(target, write))
            .await
    }

    /// Puts a successor in the place of a session's token: [`SessionStore::rotate`].
    pub async fn rotate(&self, rotation: TokenRotation) -> Result<Rotated, OpError> {
        let session_id = rotation.session_id;
        let rotated = self.engine().rotate(rotation);
        self.written(session_id, Operation::Rotate, rotated).await
    }

    /// Ends a session for good: [`SessionStore::end`].
    pub async fn end(&self, target: Target, reason: EndReason) -> Result<EndOutcome, OpError> {
        let session_id = target.session_id;
        let ended = self.engine().end(target, reason, None);
        self.written(session_id, Operation::End, ended).await
    }

    /// Ends the session behind a token as `logout`, if there is one in sight; it makes no difference to the caller.
    pub async fn revoke(&self, token: &PresentedToken, access: &Access) -> Result<(), StoreError> {
        let revoke = async {
            let Some(session_id) = self.engine().session_of(token).await? else {
                return Ok(());
            };
            let target = Target {
                session_id,
                access: access.clone(),
                precondition: Precondition::None,
                operation_id: None,
            };
            let end = self
                .engine()
                .end(target, EndReason::Logout, Some(token.hash));
            match end.await {
                Ok(_) | Err(OpError::Refused(_)) => Ok(()),
                Err(OpError::Store(error)) => Err(error),
            }
        };
        let revoked = self.timed(Operation::Revoke, revoke).await;
        self.invalidate(|cache| cache.invalidate_token(token));
        revoked
    }

    /// The ban of a login that is in force.
    pub async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        let find = self.engine().find_ban(login_id);
        self.timed(Operation::FindBan, find).await
    }

    /// Lifts the ban of a login that is in force.
    pub async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        let lift = self.engine().unban(login_id, by);
        self.timed(Operation::Unban, lift).await
    }

    /// One page of live sessions: [`SessionStore::list`].
    pub async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError> {
        let list = self.engine().list(filter, scope, limit, cursor);
        self.timed(Operation::List, list).await
    }

    /// One bounded step of cleaning: [`SessionStore::sweep`].
    pub async fn sweep(&self) -> Result<bool, StoreError> {
        self.timed(Operation::Sweep, self.engine().sweep()).await
    }

    /// Runs a write to one session.
    async fn written<T>(
        &self,
        session_id: SessionId,
        operation: Operation,
        write: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, OpError> {
        let outcome = self.timed(operation, write).await;
        self.invalidate(|cache| cache.invalidate_sessions(&[session_id]));
        outcome
    }
}
