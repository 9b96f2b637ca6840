//! Uses of sessions that were noted are written in the background, in time for each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::keys::slot_of;
use super::link::{Effect, Slot};
use super::reply::Args;
use super::{ABREAST, Inner, scripts};
use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::touches::SessionUse;

/// How often uses are looked after.
const PERIOD: Duration = Duration::from_millis(100);
/// Uses that are written at a time.
const BATCH: usize = 512;

/// Writes uses until the store is closed, and then what is left.
pub(super) async fn write_until(inner: Arc<Inner>, closed: CancellationToken) {
    let mut wait = PERIOD;
    let mut failing = false;
    loop {
        tokio::select! {
            () = closed.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let written = inner.write_uses(inner.clock(Slot::Shard(0)).now).await;
        if let Err(error) = &written
            && !failing
        {
            tracing::warn!(%error, "uses of sessions wait to be written");
        }
        failing = written.is_err();
        let full = written.is_ok_and(|written| written == BATCH);
        wait = if full { Duration::ZERO } else { PERIOD };
    }
    let end_of_time = Timestamp::from_millis(i64::MAX);
    while inner
        .write_uses(end_of_time)
        .await
        .is_ok_and(|written| written > 0)
    {}
}

impl Inner {
    /// Writes the uses that are due by a moment, and tells how many there were. What could not be written stays.
    pub(super) async fn write_uses(&self, due_by: Timestamp) -> Result<usize, StoreError> {
        let due = self.touches.due(due_by, BATCH);
        let mut writes = stream::iter(due.iter().copied().map(|used| self.write_use(used)))
            .buffer_unordered(ABREAST);
        let mut outcome = Ok(due.len());
        while let Some(written) = writes.next().await {
            if let Err(error) = written {
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn write_use(&self, used: SessionUse) -> Result<(), StoreError> {
        let args = Args::new()
            .bytes(used.session_id.as_bytes())
            .show(used.at.millis());
        let slot = slot_of(used.session_id);
        self.run(slot, &scripts::USE, args, Effect::Repeatable)
            .await?;
        self.touches.written(used, self.clock(slot).now);
        Ok(())
    }
}
