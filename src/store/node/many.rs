//! Operations on many sessions: an engine takes the steps, and here they are driven.

use tokio::time::{Instant, sleep};

use super::Handle;
use super::operations::Operation;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::login::LoginSummary;
use crate::model::page::{Page, PageLimit};
use crate::model::permission::Scope;
use crate::model::request::Access;
use crate::model::session::{EndReason, Session};
use crate::rules::ban::NewBan;
use crate::rules::end::{EndAll, EndBatch};
use crate::store::{Banned, OpError, SessionStore, StoreError};

impl Handle<dyn SessionStore> {
    /// Fixes a moment and ends what was opened before it, until none is left. Answers the sessions that this call ended.
    pub async fn end_all(
        &self,
        which: EndAll,
        access: &Access,
    ) -> Result<Vec<SessionId>, StoreError> {
        let batch = which.batch(access.clone());
        self.timed(Operation::EndAll, self.end_these(&batch)).await
    }

    /// Fixes a moment and ends what was opened before it and matches; answers how many. It may be repeated when it was
    /// broken off.
    pub async fn end_where(
        &self,
        filter: SessionFilter,
        reason: EndReason,
        access: &Access,
    ) -> Result<u64, StoreError> {
        let batch = EndBatch {
            filter,
            except: None,
            reason,
            detail: None,
            access: access.clone(),
        };
        let mut count = 0;
        let end = self.end_each(&batch, |ended| count += ended.len() as u64);
        self.timed(Operation::EndWhere, end).await?;
        Ok(count)
    }

    /// How many sessions [`Self::end_where`] would end.
    pub async fn count_where(
        &self,
        filter: &SessionFilter,
        access: &Access,
    ) -> Result<u64, OpError> {
        let count = self.count_each(filter, &access.scope);
        self.timed(Operation::EndWhere, count).await
    }

    /// Bans a login in place of any ban it has, then ends its sessions as `banned`. From the first moment on creates are
    /// refused, so no session that was opened before the answer lives after it.
    pub async fn ban(&self, new: NewBan, by: &ServiceId) -> Result<Banned, StoreError> {
        let batch = EndAll::banned(&new).batch(Access::to_all(by));
        let ban = async {
            let ban = self.engine().put_ban(new, by).await?;
            let ended = self.end_these(&batch).await?;
            Ok(Banned { ban, ended })
        };
        self.timed(Operation::Ban, ban).await
    }

    async fn end_these(&self, batch: &EndBatch) -> Result<Vec<SessionId>, StoreError> {
        let mut all = Vec::new();
        self.end_each(batch, |ended| all.extend(ended)).await?;
        Ok(all)
    }

    /// Ends many, step by step, until none is left.
    async fn end_each(
        &self,
        batch: &EndBatch,
        mut take: impl FnMut(Vec<SessionId>) + Send,
    ) -> Result<(), StoreError> {
        let mut position = None;
        loop {
            let step = self.engine().end_batch(batch, position).await;
            self.invalidate(|cache| match (&step, &batch.filter.login_id) {
                (Ok(step), _) => cache.invalidate_sessions(&step.ended),
                (Err(_), Some(login_id)) => cache.invalidate_login(login_id),
                (Err(_), None) => cache.invalidate_all(),
            });
            let step = step?;
            take(step.ended);
            position = step.next;
            if position.is_none() {
                return Ok(());
            }
        }
    }

    /// The exact number of live sessions, of one login or of all.
    pub async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, OpError> {
        let count = async {
            match login_id {
                None => Ok(self.engine().count().await?),
                Some(login_id) => {
                    let filter = SessionFilter::of_login(login_id.clone());
                    self.count_each(&filter, &Scope::All).await
                }
            }
        };
        self.timed(Operation::Count, count).await
    }

    /// How many sessions the index of a login tells of: [`SessionStore::index_size`].
    pub async fn index_size(&self, login_id: &LoginId) -> Result<u64, StoreError> {
        self.timed(Operation::Count, self.engine().index_size(login_id))
            .await
    }

    /// What is known about a login. Of more sessions than a page takes only the newest are looked at.
    pub async fn login(&self, login_id: &LoginId) -> Result<LoginSummary, OpError> {
        let login = async {
            let banned = self.engine().find_ban(login_id).await?;
            let mut summary = LoginSummary::new(login_id.clone(), banned.as_ref());
            let filter = SessionFilter::of_login(login_id.clone());
            let newest = self
                .engine()
                .list(&filter, &Scope::All, PageLimit::LARGEST, None);
            let Page { items, next } = newest.await?;
            for session in items {
                summary.add(session);
            }
            if next.is_some() {
                summary.session_count = self.engine().index_size(login_id).await?;
                summary.partial = true;
            }
            Ok(summary)
        };
        self.timed(Operation::Login, login).await
    }

    async fn count_each(&self, filter: &SessionFilter, scope: &Scope) -> Result<u64, OpError> {
        let mut count = 0;
        self.each(filter, scope, |_session| count += 1).await?;
        Ok(count)
    }

    /// Takes every live session that matches, page by page. After each the store is left to others for as long as the
    /// page took.
    async fn each(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        mut take: impl FnMut(Session) + Send,
    ) -> Result<(), OpError> {
        let mut cursor = None;
        loop {
            let begun = Instant::now();
            let list = self
                .engine()
                .list(filter, scope, PageLimit::LARGEST, cursor.as_ref());
            let page = list.await?;
            page.items.into_iter().for_each(&mut take);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
            sleep(begun.elapsed()).await;
        }
    }
}
