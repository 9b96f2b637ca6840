//! A store that can be lost: while it is, whoever asks for a token waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_gateway::model::Timestamp;
use session_gateway::model::filter::SessionFilter;
use session_gateway::model::health::StoreHealth;
use session_gateway::model::id::{LoginId, ServiceId, SessionId};
use session_gateway::model::login::Ban;
use session_gateway::model::page::{Cursor, Page, PageLimit};
use session_gateway::model::permission::Scope;
use session_gateway::model::request::{Target, Touch};
use session_gateway::model::session::Session;
use session_gateway::model::token::PresentedToken;
use session_gateway::rules::ban::NewBan;
use session_gateway::rules::change::Changed;
use session_gateway::rules::create::{Created, NewSession};
use session_gateway::rules::end::EndBatch;
use session_gateway::rules::entry::Lookup;
use session_gateway::rules::rotate::{Rotated, TokenRotation};
use session_gateway::rules::write::SessionWrite;
use session_gateway::store::{
    EndPosition, EndedBatch, MarkedBatch, OpError, SessionStore, StoreError, Stores, Verified,
};

/// Far longer than anybody waits.
const SILENCE: Duration = Duration::from_secs(60);

/// The sessions of another store, until they are lost.
#[derive(Debug)]
pub(super) struct Losable {
    sessions: Arc<dyn SessionStore>,
    lost: AtomicBool,
    lost_login: Mutex<Option<LoginId>>,
}

impl Losable {
    pub(super) fn over(stores: &Stores) -> Arc<Self> {
        Arc::new(Self {
            sessions: stores.sessions.clone().into_engine(),
            lost: AtomicBool::new(false),
            lost_login: Mutex::default(),
        })
    }

    pub(super) fn lose(&self, lost: bool) {
        self.lost.store(lost, Ordering::SeqCst);
    }

    /// Loses only the sessions of this login, as a cluster does whose master is down.
    pub(super) fn lose_all_of(&self, login_id: &str) {
        *self.lost_login.lock().unwrap() = Some(LoginId::parse(login_id).unwrap());
    }
}

async fn be_silent() -> StoreError {
    tokio::time::sleep(SILENCE).await;
    StoreError::TimedOut
}

#[async_trait]
impl SessionStore for Losable {
    fn now(&self) -> Timestamp {
        self.sessions.now()
    }

    async fn check(&self) -> Result<StoreHealth, StoreError> {
        self.sessions.check().await
    }

    async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        self.sessions.create(new).await
    }

    async fn find(&self, id: SessionId, scope: &Scope) -> Result<Lookup<Session>, StoreError> {
        self.sessions.find(id, scope).await
    }

    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        if self.lost.load(Ordering::SeqCst) {
            return Err(be_silent().await);
        }
        let found = self.sessions.find_by_token(token, touch).await?;
        let lost_login = self.lost_login.lock().unwrap().clone();
        match &found {
            Lookup::Live(live) if lost_login.as_ref() == Some(&live.record.session.login_id) => {
                Err(be_silent().await)
            }
            Lookup::Live(_) | Lookup::Ended(_) | Lookup::Unknown => Ok(found),
        }
    }

    fn revalidate(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        self.sessions.revalidate(found, touch)
    }

    async fn write(&self, target: Target, write: SessionWrite) -> Result<Changed, OpError> {
        self.sessions.write(target, write).await
    }

    async fn session_of(&self, token: &PresentedToken) -> Result<Option<SessionId>, StoreError> {
        self.sessions.session_of(token).await
    }

    async fn rotate(&self, rotation: TokenRotation) -> Result<Rotated, OpError> {
        self.sessions.rotate(rotation).await
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
