//! Counts and summaries of many sessions.

use super::Handle;
use super::operations::Operation;
use crate::model::filter::SessionFilter;
use crate::model::id::LoginId;
use crate::model::login::LoginSummary;
use crate::model::page::{Page, PageLimit};
use crate::model::permission::Scope;
use crate::store::{OpError, SessionStore, StoreError};

impl Handle<dyn SessionStore> {
    /// The exact number of live sessions, of one login or of all.
    pub async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        self.timed(Operation::Count, self.engine().count(login_id))
            .await
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
