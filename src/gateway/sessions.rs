//! Sessions: read, listed, changed, kept alive, ended.

use std::time::Duration;

use super::cursors::Binding;
use super::{Caller, Gateway, GatewayError, within};
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::SessionId;
use crate::model::page::{Page, PageLimit, SealedCursor};
use crate::model::permission::Scope;
use crate::model::record::SessionChange;
use crate::model::request::Target;
use crate::model::session::{ConnectionStats, EndReason, Session, SessionState};
use crate::rules::end::EndOutcome;
use crate::rules::refusal::Refusal;

/// What a heartbeat learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where the session stands.
    pub state: SessionState,
    /// The moment by the clock that judges expiry.
    pub now: Timestamp,
    /// How long the session lives without further use.
    pub remaining: Duration,
}

/// Which list of sessions is read: a cursor of one is none of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionList {
    /// That of all.
    All,
    /// That of one login.
    OfLogin,
}

impl Gateway {
    /// A live session. Reading is no use of it.
    pub async fn find(
        &self,
        caller: &Caller,
        session_id: SessionId,
    ) -> Result<Session, GatewayError> {
        let found = self.stores.sessions.find(session_id, &caller.scope).await?;
        Ok(found.live()?)
    }

    /// A session that the caller was shown before, as it is now. It was there, so if nothing is known of it any more, it has
    /// ended.
    pub async fn as_it_is(
        &self,
        caller: &Caller,
        session_id: SessionId,
    ) -> Result<Session, GatewayError> {
        match self.find(caller, session_id).await {
            Err(GatewayError::SessionNotFound) => Err(GatewayError::SessionEnded(None)),
            found => found,
        }
    }

    /// One page of live sessions, newest first.
    pub async fn list(
        &self,
        caller: &Caller,
        list: SessionList,
        filter: &SessionFilter,
        limit: PageLimit,
        cursor: Option<&SealedCursor>,
    ) -> Result<Page<Session, SealedCursor>, GatewayError> {
        let list = match list {
            SessionList::All => "sessions",
            SessionList::OfLogin => "sessions of a login",
        };
        let binding = Binding::new(list, caller, filter)?;
        let place = self.place(cursor, &binding).await?;
        let sessions = &self.stores.sessions;
        let page = sessions.list(filter, &caller.scope, limit, place.as_ref());
        self.sealed(page.await?, binding).await
    }

    /// How many live sessions there are: all of them, or those of one login that the caller sees.
    pub async fn count(
        &self,
        caller: &Caller,
        filter: &SessionFilter,
    ) -> Result<u64, GatewayError> {
        let (sessions, login_id) = (&self.stores.sessions, filter.login_id.as_ref());
        match (&caller.scope, login_id) {
            _ if !filter.asks_for_login_only() => Err(GatewayError::NotCountable),
            (Scope::All, _) => Ok(sessions.count(login_id).await?),
            (Scope::OpenedBy(_), None) => Err(GatewayError::NotCountable),
            (scope, Some(login_id)) => Ok(sessions.count_in_sight(login_id, scope).await?),
        }
    }

    /// Makes one change. The session as it is then.
    pub async fn change(
        &self,
        target: Target,
        change: SessionChange,
    ) -> Result<Session, GatewayError> {
        Ok(self.stores.sessions.change(target, change).await?.session)
    }

    /// Moves the idle expiry to `ttl` from now, or else to the session's idle timeout.
    pub async fn refresh(
        &self,
        target: Target,
        ttl: Option<Duration>,
    ) -> Result<Session, GatewayError> {
        let limit = self.lifetimes.idle_timeout_limit;
        let ttl = ttl.map(|ttl| within(limit, "ttl_seconds", ttl));
        Ok(self
            .stores
            .sessions
            .refresh(target, ttl.transpose()?)
            .await?)
    }

    /// Takes a sign of life.
    pub async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Heartbeat, GatewayError> {
        let session = self.stores.sessions.heartbeat(target, stats).await?;
        let now = self.stores.sessions.now();
        Ok(Heartbeat {
            state: session.state,
            now,
            remaining: session.expires_at.since(now),
        })
    }

    /// Ends a session; it is no error that it has ended already.
    pub async fn end(&self, target: Target, reason: EndReason) -> Result<(), GatewayError> {
        self.stores.sessions.end(target, reason).await?;
        Ok(())
    }

    /// Ends a session that lives, and tells what it was last.
    pub async fn close(&self, target: Target) -> Result<Session, GatewayError> {
        match self.stores.sessions.end(target, EndReason::Logout).await? {
            EndOutcome::Now(session) => Ok(*session),
            EndOutcome::Before(tombstone) => Err(Refusal::SessionEnded(tombstone).into()),
        }
    }
}
