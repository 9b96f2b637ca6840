//! What a node learns of the last 15 minutes: from each event as it is heard, and from the streams when it starts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::places::{self, PARTITIONS};
use super::{RETRY, Recovery};
use crate::store::node::recovery::KEPT;
use crate::store::position::Place;
use crate::store::{Partition, StoreError};

const READ: usize = 200;
/// Streams that are read at a time.
const READS: usize = 2;
/// After each read: requests come first.
const PAUSE: Duration = Duration::from_millis(5);

/// Learns what happened before the store was opened, until that is done or the store is closed.
pub(in crate::store::redis) async fn recall_until(
    recovery: Arc<Recovery>,
    closed: CancellationToken,
) {
    let recall =
        stream::iter(PARTITIONS.all()).for_each_concurrent(READS, |stream| recovery.recall(stream));
    tokio::select! {
        () = closed.cancelled() => {}
        () = recall => {}
    }
}

impl Recovery {
    async fn recall(&self, stream: Partition) {
        let mut place = None;
        loop {
            match self.recall_page(stream, place).await {
                Ok(Some(next)) => place = Some(next),
                Ok(None) => return sleep(PAUSE).await,
                Err(_passes) => sleep(RETRY).await,
            }
            sleep(PAUSE).await;
        }
    }

    /// Where the next page begins, if there is one.
    async fn recall_page(
        &self,
        stream: Partition,
        place: Option<Place>,
    ) -> Result<Option<Place>, StoreError> {
        let place = match place {
            Some(place) => place,
            None => self.place_of_first(stream).await?,
        };
        let source = self.feed.read(stream, place, READ).await?;
        let mut last = place;
        for (place, told) in source.entries {
            last = place;
            if let Some(written) = told.and_then(|told| self.log.learn(&told.fact)) {
                self.services.remember_service(&written).await?;
            }
        }
        Ok(source.open.then_some(last))
    }

    /// Where what must be remembered begins, by the clock of the master.
    async fn place_of_first(&self, stream: Partition) -> Result<Place, StoreError> {
        let clock = self.client.clock(places::slot(stream));
        let now = if clock.error < KEPT {
            clock.now
        } else {
            self.feed.read(stream, Place::default(), 0).await?.now
        };
        Ok(Place::at(now).rewound(KEPT))
    }
}
