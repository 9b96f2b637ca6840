//! Endings of many: an engine takes the steps, and here they are driven, for as long as whoever asked should wait. What is
//! left then, or when the store stays away, is told with the place to go on at.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Handle;
use super::operations::Operation;
use crate::model::filter::SessionFilter;
use crate::model::id::ServiceId;
use crate::model::login::Ban;
use crate::model::page::{Page, PageLimit};
use crate::model::request::Access;
use crate::model::session::EndReason;
use crate::rules::ban::NewBan;
use crate::rules::end::{EndAll, EndBatch};
use crate::rules::lists;
use crate::store::{Banned, EndPosition, EndedBatch, EndedMany, OpError, SessionStore, StoreError};

/// After this long no further step begins.
const LAST_STEP: Duration = Duration::from_secs(15);
/// After this long a step is waited for no more: its sessions have ended or have not, and the next call finds out.
const GIVEN_UP: Duration = Duration::from_secs(18);

/// How far an ending of many goes in one call, unless time is over before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndExtent {
    /// Until so many sessions have ended, all of which are named.
    Named(usize),
    /// Until none is left.
    All,
}

/// What is done so far, since when.
struct Progress {
    begun: Instant,
    extent: EndExtent,
    steps: usize,
    done: EndedMany,
}

impl Handle<dyn SessionStore> {
    /// Fixes a moment and ends what was opened before it, or goes on with that.
    pub async fn end_all(
        &self,
        which: EndAll,
        access: &Access,
        from: Option<EndPosition>,
        extent: EndExtent,
    ) -> Result<EndedMany, StoreError> {
        let batch = which.batch(access.clone());
        let end = self.end_each(&batch, from, extent);
        self.timed(Operation::EndAll, end).await
    }

    /// Fixes a moment and ends what was opened before it and matches, or goes on with that.
    pub async fn end_where(
        &self,
        filter: SessionFilter,
        reason: EndReason,
        access: &Access,
        from: Option<EndPosition>,
        extent: EndExtent,
    ) -> Result<EndedMany, StoreError> {
        let batch = EndBatch {
            filter,
            except: None,
            reason,
            detail: None,
            access: access.clone(),
        };
        let end = self.end_each(&batch, from, extent);
        self.timed(Operation::EndWhere, end).await
    }

    /// Which sessions [`Self::end_where`] would end.
    pub async fn find_where(
        &self,
        filter: &SessionFilter,
        access: &Access,
        from: Option<EndPosition>,
        extent: EndExtent,
    ) -> Result<EndedMany, OpError> {
        let from = from.unwrap_or_else(|| EndPosition::before_all(self.engine().now()));
        let find = self.find_each(filter, access, from, extent);
        self.timed(Operation::EndWhere, find).await
    }

    /// Bans a login in place of any ban it has, then ends its sessions as `banned`. From the first moment on creates are
    /// refused; when this answers, all of its sessions are told as ended, however many there are. What of many could not be
    /// written as such in time the sweep writes.
    pub async fn ban(&self, new: NewBan, by: &ServiceId) -> Result<Banned, StoreError> {
        let ban = async {
            let ban = self.engine().put_ban(new, by).await?;
            let batch = EndAll::banned_by(&ban).batch(Access::to_all(by));
            let from = EndPosition::before_all(ban.at);
            let mut progress = Progress::begin(Some(from), EndExtent::All);
            progress.take(self.end_step(&batch, &progress).await?);
            let mut count = progress.done.count;
            if progress.done.next.is_some() {
                count += self.mark_banned(&ban, progress.begun).await?;
                if let Err(error) = self.end_on(&batch, progress).await {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "endings of a ban are left to the sweep");
                }
            }
            Ok(Banned { ban, count })
        };
        self.timed(Operation::Ban, ban).await
    }

    /// Marks what the ban of a login has not ended yet. Copies of it are of no use from the next ending on, here and on the
    /// other nodes.
    async fn mark_banned(&self, ban: &Ban, begun: Instant) -> Result<u64, StoreError> {
        let mark = async {
            let (mut count, mut last) = (0, None);
            loop {
                let marked = self.engine().mark_banned(ban, last).await?;
                count += marked.count;
                last = marked.last;
                if last.is_none() {
                    return Ok(count);
                }
            }
        };
        let marked = timeout_at(begun + GIVEN_UP, mark).await;
        self.invalidate(|cache| cache.invalidate_login(&ban.login_id));
        marked.unwrap_or(Err(StoreError::TimedOut))
    }

    async fn end_each(
        &self,
        batch: &EndBatch,
        from: Option<EndPosition>,
        extent: EndExtent,
    ) -> Result<EndedMany, StoreError> {
        self.end_on(batch, Progress::begin(from, extent)).await
    }

    async fn end_on(
        &self,
        batch: &EndBatch,
        mut progress: Progress,
    ) -> Result<EndedMany, StoreError> {
        loop {
            let step = self.end_step(batch, &progress).await;
            match step {
                Ok(step) => progress.take(step),
                Err(error) => return progress.broken_off(error),
            }
            if progress.is_over() {
                return Ok(progress.done);
            }
        }
    }

    async fn end_step(
        &self,
        batch: &EndBatch,
        progress: &Progress,
    ) -> Result<EndedBatch, StoreError> {
        let from = progress.done.next.clone();
        let step = self.engine().end_batch(batch, from, progress.room());
        let step = timeout_at(progress.begun + GIVEN_UP, step).await;
        let step = step.unwrap_or(Err(StoreError::TimedOut));
        self.invalidate(|cache| match (&step, &batch.filter.login_id) {
            (Ok(step), _) => cache.invalidate_sessions(&step.ended),
            (Err(_), Some(login_id)) => cache.invalidate_login(login_id),
            (Err(_), None) => cache.invalidate_all(),
        });
        step
    }

    /// What is opened later stands before all that the list has still to come to, so it needs no moment.
    async fn find_each(
        &self,
        filter: &SessionFilter,
        access: &Access,
        from: EndPosition,
        extent: EndExtent,
    ) -> Result<EndedMany, OpError> {
        let moment = from.moment;
        let mut progress = Progress::begin(Some(from), extent);
        loop {
            let begun = Instant::now();
            let last = progress.done.next.as_ref().and_then(|next| next.last);
            let cursor = last.map(lists::cursor_after);
            let limit = PageLimit::LARGEST.at_most(progress.room());
            let engine = self.engine();
            let Page { items, next } = match engine
                .list(filter, &access.scope, limit, cursor.as_ref())
                .await
            {
                Ok(page) => page,
                Err(OpError::Store(error)) => return Ok(progress.broken_off(error)?),
                Err(refused @ OpError::Refused(_)) => return Err(refused),
            };
            let last = lists::position(next.as_ref())?;
            progress.take(EndedBatch {
                ended: items.iter().map(|session| session.session_id).collect(),
                next: last.map(|last| EndPosition::after(last, moment)),
            });
            if progress.is_over() {
                return Ok(progress.done);
            }
            // The store is left to others for as long as a page takes.
            sleep(begun.elapsed()).await;
        }
    }
}

impl Progress {
    fn begin(from: Option<EndPosition>, extent: EndExtent) -> Self {
        Self {
            begun: Instant::now(),
            extent,
            steps: 0,
            done: EndedMany {
                next: from,
                ..EndedMany::default()
            },
        }
    }

    /// How many sessions the next step may end.
    fn room(&self) -> usize {
        match self.extent {
            EndExtent::Named(most) => most.saturating_sub(self.done.ended.len()),
            EndExtent::All => usize::MAX,
        }
    }

    fn take(&mut self, step: EndedBatch) {
        self.steps += 1;
        self.done.count += step.ended.len() as u64;
        let named = EndedMany::NAMED.saturating_sub(self.done.ended.len());
        self.done.ended.extend(step.ended.into_iter().take(named));
        self.done.next = step.next;
    }

    fn is_over(&self) -> bool {
        self.done.next.is_none() || self.room() == 0 || self.begun.elapsed() >= LAST_STEP
    }

    /// What is done is told; only if that is nothing, the error is.
    fn broken_off(self, error: StoreError) -> Result<EndedMany, StoreError> {
        if self.steps == 0 {
            return Err(error);
        }
        let (count, error): (_, &dyn std::error::Error) = (self.done.count, &error);
        tracing::warn!(count, error, "an ending of many was broken off");
        Ok(self.done)
    }
}
