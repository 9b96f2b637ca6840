//! Endings of many, to their end.

use session_gateway::model::filter::SessionFilter;
use session_gateway::model::id::SessionId;
use session_gateway::model::request::Access;
use session_gateway::model::session::EndReason;
use session_gateway::rules::end::EndAll;
use session_gateway::store::node::{EndExtent, Handle};
use session_gateway::store::{EndedMany, SessionStore, StoreError};

pub(crate) trait Endings {
    /// The sessions of a login that ended.
    async fn end_login(&self, which: EndAll, access: &Access)
    -> Result<Vec<SessionId>, StoreError>;

    /// How many of all sessions ended.
    async fn end_matching(
        &self,
        filter: SessionFilter,
        reason: EndReason,
        access: &Access,
    ) -> Result<u64, StoreError>;
}

impl Endings for Handle<dyn SessionStore> {
    async fn end_login(
        &self,
        which: EndAll,
        access: &Access,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.end_all(which, access, None, EndExtent::All).await?;
        Ok(whole(ended).ended)
    }

    async fn end_matching(
        &self,
        filter: SessionFilter,
        reason: EndReason,
        access: &Access,
    ) -> Result<u64, StoreError> {
        let end = self.end_where(filter, reason, access, None, EndExtent::All);
        Ok(whole(end.await?).count)
    }
}

#[track_caller]
fn whole(done: EndedMany) -> EndedMany {
    assert_eq!(done.next, None, "nothing is left");
    done
}
