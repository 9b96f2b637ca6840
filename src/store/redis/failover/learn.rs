//! What a node learns of the last 15 minutes: from each event as it is heard, and from the streams when it starts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::streams::{self, PARTITIONS};
use super::{RETRY, Recovery};
use crate::store::node::recovery::KEPT;
use crate::store::position::Position;
use crate::store::{Partition, StoreError};

const READ: usize = 200;
/// Streams that are read at a time.
const READS: usize = 2;
/// After each read: requests come first.
const PAUSE: Duration = Duration::from_millis(5);

/// Learns what happened before the store was opened, until that is done or the store is closed.
pub(in crate::store::redis) async fn learn_until(
    recovery: Arc<Recovery>,
    closed: CancellationToken,
) {
    let learn =
        stream::iter(PARTITIONS.all()).for_each_concurrent(READS, |stream| recovery.learn(stream));
    tokio::select! {
        () = closed.cancelled() => {}
        () = learn => {}
    }
}

impl Recovery {
    async fn learn(&self, stream: Partition) {
        let mut position = None;
        loop {
            match self.learn_page(stream, position).await {
                Ok(Some(next)) => position = Some(next),
                Ok(None) => return sleep(PAUSE).await,
                Err(_passes) => sleep(RETRY).await,
            }
            sleep(PAUSE).await;
        }
    }

    /// Where the next page begins, if there is one.
    async fn learn_page(
        &self,
        stream: Partition,
        position: Option<Position>,
    ) -> Result<Option<Position>, StoreError> {
        let position = match position {
            Some(position) => position,
            None => self.first_position(stream).await?,
        };
        let source = self.feed.read(stream, position, READ).await?;
        let mut last = position;
        for (position, told) in source.entries {
            last = position;
            if let Some(written) = told.and_then(|told| self.log.learn(&told.fact)) {
                self.services.remember_service(&written).await?;
            }
        }
        Ok(source.open.then_some(last))
    }

    /// Where what must be remembered begins, by the clock of the master.
    async fn first_position(&self, stream: Partition) -> Result<Position, StoreError> {
        let clock = self.client.clock(streams::slot(stream));
        let now = if clock.error < KEPT {
            clock.now
        } else {
            self.feed.read(stream, Position::default(), 0).await?.now
        };
        Ok(Position::at(now).rewound(KEPT))
    }
}
