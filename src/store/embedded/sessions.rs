//! The session contract, operation by operation; what each does stands in the module of its topic.

use std::time::Duration;

use async_trait::async_trait;

use super::txn::Txn;
use super::{EmbeddedStore, bans, changes, create, ends, lists, rotation, sweep, verify};
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
    NewSession, OpError, Rotated, SessionFilter, SessionStore, StoreError, StoreHealth, Target,
    TokenRotation, Touch, Verified,
};

#[async_trait]
impl SessionStore for EmbeddedStore {
    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    async fn check(&self) -> Result<StoreHealth, StoreError> {
        self.shared.read()?;
        self.writer.write(|_txn| Ok(StoreHealth::default())).await
    }

    async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        self.writer
            .operate(move |txn| create::create(txn, new))
            .await
    }

    async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        verify::find(&self.shared, session_id, scope)
    }

    async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        match verify::find_by_token(&self.shared, token, touch)? {
            verify::Found::Answer(answer) => Ok(answer),
            verify::Found::TouchFirst(session_id) => {
                let hash = token.hash;
                self.writer
                    .write(move |txn| verify::touch_first(txn, session_id, hash))
                    .await
            }
        }
    }

    fn find_again(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        verify::find_again(&self.shared, found, touch)
    }

    async fn change(&self, target: Target, change: SessionChange) -> Result<Changed, OpError> {
        self.writer
            .operate(move |txn| changes::change(txn, &target, change))
            .await
    }

    async fn refresh(&self, target: Target, ttl: Option<Duration>) -> Result<Session, OpError> {
        self.writer
            .operate(move |txn| changes::refresh(txn, &target, ttl))
            .await
    }

    async fn heartbeat(
        &self,
        target: Target,
        stats: Option<ConnectionStats>,
    ) -> Result<Session, OpError> {
        self.writer
            .operate(move |txn| changes::heartbeat(txn, &target, stats))
            .await
    }

    async fn end(&self, target: Target, reason: EndReason) -> Result<EndOutcome, OpError> {
        self.writer
            .operate(move |txn| ends::end(txn, &target, reason))
            .await
    }

    async fn session_of(&self, token: &PresentedToken) -> Result<Option<SessionId>, StoreError> {
        verify::session_of(&self.shared.read()?, token)
    }

    async fn rotate(&self, asked: TokenRotation) -> Result<Rotated, OpError> {
        self.writer
            .operate(move |txn| rotation::rotate(txn, asked))
            .await
    }

    async fn revoke(&self, token: &PresentedToken, access: &Access) -> Result<(), StoreError> {
        let (token, access) = (*token, access.clone());
        self.writer
            .write(move |txn| ends::revoke(txn, &token, &access))
            .await
    }

    async fn end_all(&self, which: EndAll, access: &Access) -> Result<Vec<SessionId>, StoreError> {
        let mut plan = ends::Plan::new(which, access.clone());
        loop {
            plan = self.writer.write(move |txn| plan.step(txn)).await?;
            if plan.is_done() {
                return Ok(plan.into_ended());
            }
        }
    }

    async fn end_where(&self, which: EndWhere, access: &Access) -> Result<u64, OpError> {
        let filter = which.filter.opened_until(self.shared.now());
        let (mut count, mut cursor) = (0, None);
        loop {
            let listing =
                lists::Listing::new(&filter, &access.scope, PageLimit::STEP, cursor.as_ref())?;
            let page = self.scan(move |shared| listing.read(shared)).await?;
            count += match which.effect {
                BulkEffect::Count => page.items.len(),
                BulkEffect::End => {
                    let (filter, access) = (filter.clone(), access.clone());
                    let end = move |txn: &mut Txn<'_>| {
                        ends::end_matching(txn, &page.items, &filter, which.reason, &access)
                    };
                    self.writer.write(end).await?
                }
            };
            cursor = page.next;
            if cursor.is_none() {
                return Ok(count as u64);
            }
        }
    }

    async fn ban(&self, new: NewBan, by: &ServiceId) -> Result<Banned, StoreError> {
        let (which, access) = (EndAll::banned(&new), Access::to_all(by));
        let by = by.clone();
        let ban = self
            .writer
            .write(move |txn| bans::put(txn, new, by))
            .await?;
        let ended = self.end_all(which, &access).await?;
        Ok(Banned { ban, ended })
    }

    async fn find_ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        bans::find(&self.shared, login_id)
    }

    async fn unban(&self, login_id: &LoginId, by: &ServiceId) -> Result<(), OpError> {
        let (login_id, by) = (login_id.clone(), by.clone());
        self.writer
            .operate(move |txn| bans::lift(txn, &login_id, by))
            .await
    }

    async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError> {
        let listing = lists::Listing::new(filter, scope, limit, cursor)?;
        Ok(self.scan(move |shared| listing.read(shared)).await?)
    }

    async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        let login_id = login_id.cloned();
        self.scan(move |shared| match login_id {
            None => lists::count(shared),
            Some(login_id) => lists::login(shared, login_id).map(|login| login.session_count),
        })
        .await
    }

    async fn login(&self, login_id: &LoginId) -> Result<LoginSummary, StoreError> {
        let login_id = login_id.clone();
        self.scan(move |shared| lists::login(shared, login_id))
            .await
    }

    async fn sweep(&self) -> Result<bool, StoreError> {
        let swept = self.writer.write(sweep::sweep).await?;
        match swept.unreadable {
            None => Ok(swept.more),
            Some(error) => Err(error),
        }
    }
}
