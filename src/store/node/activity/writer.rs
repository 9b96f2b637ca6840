//! Uses that were noted are written in the background, in time for each, those of a partition together.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{ActivityBuffer, SessionActivity};
use crate::model::Timestamp;
use crate::store::{Partitions, StoreError};

/// How often uses are looked after. What would be due before the next time is written now: so none is late, and those of
/// a partition are written together.
const PERIOD: Duration = Duration::from_millis(250);
/// Uses that are written at a time.
const BATCH: usize = 4_096;
/// Uses that one write takes, so that it holds nobody up.
const TOGETHER: usize = 100;
/// Writes that are under way at a time.
const ABREAST: usize = 64;

pub(in crate::store) trait WriteUses: Send + Sync {
    /// How its sessions lie.
    const PARTITIONS: Partitions;

    fn buffer(&self) -> &ActivityBuffer;

    fn now(&self) -> Timestamp;

    /// Writes uses in one partition; when that was done, by the clock of its server.
    fn write(
        &self,
        uses: &[SessionActivity],
    ) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;
}

/// Writes uses until the store is closed, and then what is left.
pub(in crate::store) async fn write_until<W: WriteUses>(engine: Arc<W>, closed: CancellationToken) {
    let mut wait = PERIOD;
    let mut failing = false;
    loop {
        tokio::select! {
            () = closed.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let written = write_due(&*engine, engine.now().plus(PERIOD)).await;
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
    while write_due(&*engine, end_of_time)
        .await
        .is_ok_and(|written| written > 0)
    {}
}

/// Writes the uses that are due by a moment, and tells how many there were. What could not be written stays.
pub(in crate::store) async fn write_due<W: WriteUses>(
    engine: &W,
    due_by: Timestamp,
) -> Result<usize, StoreError> {
    let due = engine.buffer().due(due_by, BATCH);
    let count = due.len();
    let writes = together(W::PARTITIONS, due).into_iter();
    let writes = writes.map(|uses| write_together(engine, uses));
    let mut writes = stream::iter(writes).buffer_unordered(ABREAST);
    let mut outcome = Ok(count);
    while let Some(written) = writes.next().await {
        if let Err(error) = written {
            outcome = Err(error);
        }
    }
    outcome
}

async fn write_together<W: WriteUses>(
    engine: &W,
    uses: Vec<SessionActivity>,
) -> Result<(), StoreError> {
    let now = engine.write(&uses).await?;
    for used in uses {
        engine.buffer().written(used, now);
    }
    Ok(())
}

/// What one write can take.
fn together(partitions: Partitions, mut due: Vec<SessionActivity>) -> Vec<Vec<SessionActivity>> {
    let of = |used: &SessionActivity| partitions.of_session(used.session_id);
    due.sort_unstable_by_key(of);
    let alike = due.chunk_by(|one, other| of(one) == of(other));
    let writes = alike.flat_map(|uses| uses.chunks(TOGETHER));
    writes.map(<[SessionActivity]>::to_vec).collect()
}
