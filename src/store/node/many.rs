//! Counts and summaries of many sessions.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Handle;
use super::operations::Operation;
use crate::model::filter::SessionFilter;
use crate::model::id::LoginId;
use crate::model::login::LoginSummary;
use crate::model::page::{Page, PageLimit};
use crate::model::permission::Scope;
use crate::store::{OpError, SessionStore, StoreError};

/// A login of which that is not enough is too large to be counted session by session.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

impl Handle<dyn SessionStore> {
    /// The exact number of live sessions, of one login or of all.
    pub async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        self.timed(Operation::Count, self.engine().count(login_id))
            .await
    }

    /// The exact number of live sessions of a login that are in sight. No index tells whose they are, so all are looked at,
    /// page by page; after each the store is left to others for as long as the page took.
    pub async fn count_in_sight(&self, login_id: &LoginId, scope: &Scope) -> Result<u64, OpError> {
        let filter = SessionFilter::of_login(login_id.clone());
        let count = async {
            let (mut count, mut cursor) = (0, None);
            loop {
                let begun = Instant::now();
                let engine = self.engine();
                let page = engine.list(&filter, scope, PageLimit::LARGEST, cursor.as_ref());
                let Page { items, next } = page.await?;
                count += items.len() as u64;
                cursor = next;
                if cursor.is_none() {
                    return Ok(count);
                }
                sleep(begun.elapsed()).await;
            }
        };
        let counted = timeout(COUNTED_WITHIN, self.timed(Operation::Count, count));
        counted.await.unwrap_or(Err(StoreError::TimedOut.into()))
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
            let (mut room, mut cursor) = (PageLimit::MAX, None);
            loop {
                let limit = PageLimit::LARGEST.at_most(room);
                let engine = self.engine();
                let newest = engine.list(&filter, &Scope::All, limit, cursor.as_ref());
                let Page { items, next } = newest.await?;
                room = room.saturating_sub(items.len());
                for session in items {
                    summary.add(session);
                }
                cursor = next;
                if cursor.is_none() || room == 0 {
                    break;
                }
            }
            if cursor.is_some() {
                summary.session_count = self.engine().index_size(login_id).await?;
                summary.partial = true;
            }
            Ok(summary)
        };
        self.timed(Operation::Login, login).await
    }
}
