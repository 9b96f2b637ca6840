//! Operations on sessions, as callers ask for them: each is timed, and what the cache knew of the sessions it wrote is
//! forgotten before it answers.

use std::time::Duration;

use super::Handle;
use super::operations::Operation;
use crate::model::id::SessionId;
use crate::model::record::SessionChange;
use crate::model::request::{Access, Precondition, Target, Touch};
use crate::model::session::{ConnectionStats, EndReason, Session};
use crate::model::token::PresentedToken;
use crate::rules::change::Changed;
use crate::rules::create::{Created, NewSession};
use crate::rules::end::EndOutcome;
use crate::rules::entry::Lookup;
use crate::rules::refusal::Refusal;
use crate::rules::rotate::{Rotated, TokenRotation};
use crate::rules::write::SessionWrite;
use crate::store::{OpError, SessionStore, StoreError, Verified};

impl Handle<dyn SessionStore> {
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

    /// Ends a session for good. Ending it again changes nothing and is no refusal, whatever version was expected.
    pub async fn end(&self, target: Target, reason: EndReason) -> Result<EndOutcome, OpError> {
        let session_id = target.session_id;
        let end = self.engine().write(target, SessionWrite::End(reason, None));
        let end = async {
            match end.await {
                Ok(ended) => Ok(EndOutcome::Now(Box::new(ended.session))),
                Err(OpError::Refused(Refusal::SessionEnded(tombstone))) => {
                    Ok(EndOutcome::Before(tombstone))
                }
                Err(error) => Err(error),
            }
        };
        self.written(session_id, Operation::End, end).await
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
            let end = SessionWrite::End(EndReason::Logout, Some(token.hash));
            match self.engine().write(target, end).await {
                Ok(_) | Err(OpError::Refused(_)) => Ok(()),
                Err(OpError::Store(error)) => Err(error),
            }
        };
        let revoked = self.timed(Operation::Revoke, revoke).await;
        self.invalidate(|cache| cache.invalidate_token(token));
        revoked
    }

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
