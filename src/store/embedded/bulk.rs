//! Endings of many, step by step.

use super::EmbeddedStore;
use super::lists::Listing;
use super::marks::Marked;
use super::room::Purpose;
use super::rows::session_ids;
use super::tables::login_key;
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::id::{LoginId, SessionId};
use crate::model::page::PageLimit;
use crate::model::request::Access;
use crate::rules::end::{self, EndAll, EndBatch};
use crate::store::{EndPosition, EndedBatch, SessionStore, StoreError};

/// Sessions of a login that one step looks at.
const STEP: usize = 200;

impl EmbeddedStore {
    /// Ends the next sessions that a ban has marked; tells whether more are left.
    pub(super) async fn end_banned(&self, marked: Marked) -> Result<bool, StoreError> {
        let Marked { ban, last } = marked;
        let batch = EndAll::banned_by(&ban).batch(Access::to_all(&ban.by));
        let from = EndPosition {
            last,
            ..EndPosition::before_all(ban.at)
        };
        let ended = self.end_batch(&batch, Some(from), STEP).await?;
        let last = ended.next.and_then(|next| next.last);
        self.shared.marks.advance(&ban, last);
        Ok(last.is_some())
    }

    /// Ends all that the ban of a login has marked, which would live again without it.
    pub(super) async fn end_marked(&self, login_id: &LoginId) -> Result<(), StoreError> {
        while let Some(marked) = self.shared.marks.find(Some(&login_key(login_id))) {
            self.end_banned(marked).await?;
        }
        Ok(())
    }

    /// A step over all sessions: those that match are found beside the writer, and judged again where they end.
    pub(super) async fn end_listed(
        &self,
        batch: &EndBatch,
        from: Option<EndPosition>,
        most: usize,
    ) -> Result<EndedBatch, StoreError> {
        let moment = from
            .as_ref()
            .map_or_else(|| self.shared.now(), |from| from.moment);
        let batch = opened_until(batch, moment);
        let listing = Listing {
            filter: batch.filter.clone(),
            scope: batch.access.scope.clone(),
            limit: PageLimit::STEP.at_most(most),
            before: from.and_then(|from| from.last),
        };
        let (found, last) = self.scan(move |shared| listing.read(shared)).await?;
        let ids = found.into_iter().map(|session| session.session_id);
        let ids: Vec<_> = ids.collect();
        let end = move |txn: &mut Txn<'_>| end_these(txn, ids, &batch);
        Ok(EndedBatch {
            ended: self.writer.write(Purpose::Release, end).await?,
            next: last.map(|last| EndPosition::after(last, moment)),
        })
    }
}

/// A step over the sessions of one login. It goes among the writes, so that it waits for no long read, and is not
/// answered where nothing can end.
pub(super) fn end_of_login(
    txn: &mut Txn<'_>,
    login_id: &LoginId,
    batch: &EndBatch,
    from: Option<&EndPosition>,
    most: usize,
) -> Result<EndedBatch, StoreError> {
    // Whatever is there at first was opened before, whatever a clock said then.
    let step = from.map_or_else(|| batch.clone(), |from| opened_until(batch, from.moment));
    let moment = from.map_or(txn.now, |from| from.moment);
    let most = most.min(STEP);
    let ids = session_ids(&txn.logins, login_id, from.and_then(|from| from.last), most)?;
    let last = ids.last().filter(|_| ids.len() == most).copied();
    Ok(EndedBatch {
        ended: end_these(txn, ids, &step)?,
        next: last.map(|last| EndPosition::after(last, moment)),
    })
}

pub(super) fn end_these(
    txn: &mut Txn<'_>,
    ids: Vec<SessionId>,
    batch: &EndBatch,
) -> Result<Vec<SessionId>, StoreError> {
    let entries = txn.entries(ids)?;
    txn.decide(end::end_batch(entries, batch, &txn.terms()))
}

fn opened_until(batch: &EndBatch, moment: Timestamp) -> EndBatch {
    EndBatch {
        filter: batch.filter.opened_until(moment),
        ..batch.clone()
    }
}
