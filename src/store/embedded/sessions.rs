//! The session contract, operation by operation; what each does stands in the module of its topic.

use async_trait::async_trait;

use super::room::{self, Purpose};
use super::txn::Txn;
use super::{EmbeddedStore, bans, bulk, lists, sweep, unavailable, verify, wall_clock};
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::health::{StoreHealth, StoreWarning};
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
use crate::rules::{self, ban, create, rotate};
use crate::store::{
    EndPosition, EndedBatch, MarkedBatch, OpError, SessionStore, StoreError, Verified,
};

#[async_trait]
impl SessionStore for EmbeddedStore {
    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    async fn check(&self) -> Result<StoreHealth, StoreError> {
        self.look(|shared| shared.read().map(drop)).await?;
        match self.writer.write(Purpose::Release, |_txn| Ok(())).await {
            // What is there can be read all the same.
            Ok(()) | Err(StoreError::Full) => {}
            Err(error) => return Err(error),
        }
        let scarcity = room::warning(self.shared.engine.volume()).map_err(unavailable)?;
        let stepped = wall_clock::warning(&*self.shared.clock);
        // What memory holds nobody else reads.
        let readable = self.shared.on_disk.then(StoreWarning::keys_in_clear);
        Ok(StoreHealth {
            warnings: scarcity
                .into_iter()
                .chain(stepped)
                .chain(readable)
                .collect(),
        })
    }

    async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        let create = move |txn: &mut Txn<'_>| {
            let facts = txn.create_facts(&new)?;
            txn.decide(create::create(facts, new, &txn.terms()))
        };
        Ok(self.writer.write(Purpose::Keep, create).await??)
    }

    async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        self.look(|shared| verify::find(shared, session_id, scope))
            .await
    }

    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        let found = self.look(|shared| verify::find_by_token(shared, token, touch));
        let session_id = match found.await? {
            verify::Found::Answer(answer) => return Ok(answer),
            verify::Found::WriteFirst(session_id) => session_id,
        };
        let hash = token.hash;
        let write = move |txn: &mut Txn<'_>| verify::write_first(txn, session_id, hash, touch);
        match self.writer.write(Purpose::Release, write).await {
            Err(StoreError::Full) => self.find_unused(token).await,
            outcome => outcome,
        }
    }

    fn revalidate(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        verify::revalidate(&self.shared, found, touch)
    }

    async fn write(&self, target: Target, write: SessionWrite) -> Result<Changed, OpError> {
        let purpose = match &write {
            SessionWrite::End(..) => Purpose::Release,
            SessionWrite::Change(_) | SessionWrite::Refresh(_) | SessionWrite::Heartbeat(_) => {
                Purpose::Keep
            }
        };
        let write = move |txn: &mut Txn<'_>| {
            let facts = txn.target_facts(&target)?;
            txn.decide(write.decide(facts, &target, &txn.terms()))
        };
        Ok(self.writer.write(purpose, write).await??)
    }

    async fn session_of(&self, token: &PresentedToken) -> Result<Option<SessionId>, StoreError> {
        self.look(|shared| verify::session_of(&shared.read()?, token))
            .await
    }

    async fn rotate(&self, asked: TokenRotation) -> Result<Rotated, OpError> {
        let rotate = move |txn: &mut Txn<'_>| {
            let entry = txn.entry(asked.session_id)?;
            txn.decide(rotate::rotate(entry, asked, &txn.terms()))
        };
        Ok(self.writer.write(Purpose::Keep, rotate).await??)
    }

    async fn end_batch(
        &self,
        batch: &EndBatch,
        from: Option<EndPosition>,
        most: usize,
    ) -> Result<EndedBatch, StoreError> {
        let Some(login_id) = batch.filter.login_id.clone() else {
            return self.end_listed(batch, from, most).await;
        };
        let batch = batch.clone();
        self.writer
            .write(Purpose::Release, move |txn| {
                bulk::end_of_login(txn, &login_id, &batch, from.as_ref(), most)
            })
            .await
    }

    async fn mark_banned(
        &self,
        ban: &Ban,
        _after: Option<SessionId>,
    ) -> Result<MarkedBatch, StoreError> {
        let count = self.count(Some(&ban.login_id)).await?;
        self.shared.marks.put(ban.clone());
        Ok(MarkedBatch { count, last: None })
    }

    async fn put_ban(&self, new: NewBan, by: &ServiceId) -> Result<Ban, StoreError> {
        let by = by.clone();
        self.writer
            .write(Purpose::Release, move |txn| {
                txn.decide(ban::ban(new, by, &txn.terms()))
            })
            .await
    }

    async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        self.look(|shared| bans::find(shared, login_id)).await
    }

    async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        let (login_id, by) = (login_id.clone(), by.clone());
        self.end_marked(&login_id).await?;
        let unban = move |txn: &mut Txn<'_>| {
            let stored = txn.ban(&login_id)?;
            txn.decide(ban::unban(stored, &login_id, &by, &txn.terms()))
        };
        Ok(self.writer.write(Purpose::Release, unban).await??)
    }

    async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError> {
        let listing = lists::Listing {
            filter: filter.clone(),
            scope: scope.clone(),
            limit,
            before: rules::lists::position(cursor)?,
        };
        let (items, last) = self.scan(move |shared| listing.read(shared)).await?;
        let next = last.map(rules::lists::cursor_after);
        Ok(Page { items, next })
    }

    async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        let login_id = login_id.cloned();
        self.scan(move |shared| match login_id {
            None => lists::count(shared),
            Some(login_id) => lists::count_of_login(shared, &login_id),
        })
        .await
    }

    async fn index_size(&self, login_id: &LoginId) -> Result<u64, StoreError> {
        let login_id = login_id.clone();
        self.scan(move |shared| lists::index_size(shared, &login_id))
            .await
    }

    async fn sweep(&self) -> Result<bool, StoreError> {
        let swept = self.writer.write(Purpose::Release, sweep::sweep).await?;
        let left = match self.shared.marks.find(None) {
            Some(marked) => self.end_banned(marked).await?,
            None => false,
        };
        match swept.unreadable {
            None => Ok(swept.more || left),
            Some(error) => Err(error),
        }
    }
}

impl EmbeddedStore {
    /// Finds a session without counting that as use, as there is no room to write one.
    async fn find_unused(&self, token: &PresentedToken) -> Result<Lookup<Verified>, StoreError> {
        let found = self.look(|shared| verify::find_by_token(shared, token, Touch::No));
        match found.await? {
            verify::Found::Answer(answer) => Ok(answer),
            verify::Found::WriteFirst(_) => Err(StoreError::Full),
        }
    }
}
