//! What a node learns of the last 15 minutes: from each event as it is heard, and from the streams when it starts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::places::{self, STREAMS};
use super::{BanState, Deed, Inner, KEPT, RETRY, ServiceState};
use crate::model::Timestamp;
use crate::model::event::{Change, Fact, ServiceChange};
use crate::model::id::ServiceId;
use crate::model::session::Ended;
use crate::store::StoreError;
use crate::store::position::Place;

/// Events that one read takes.
const READ: usize = 200;
/// Streams that are read at a time.
const READS: usize = 2;
/// After each read: requests come first.
const PAUSE: Duration = Duration::from_millis(5);

/// A service was written; what was written must be read.
#[derive(Debug, Clone)]
pub(in crate::store::redis) struct WrittenService {
    pub(super) service_id: ServiceId,
    pub(super) at: Timestamp,
    pub(super) by: ServiceId,
}

/// Learns what happened before the store was opened, until that is done or the store is closed.
pub(in crate::store::redis) async fn recall_until(inner: Arc<Inner>, closed: CancellationToken) {
    let recall = stream::iter(0..STREAMS).for_each_concurrent(READS, |stream| inner.recall(stream));
    tokio::select! {
        () = closed.cancelled() => {}
        () = recall => {}
    }
}

impl Inner {
    /// Learns from an event what must not be taken back.
    pub(in crate::store::redis) fn remember(&self, fact: &Fact) -> Option<WrittenService> {
        match (&fact.change, fact.session_id) {
            (Change::SessionEnded { reason, by, detail }, Some(session_id)) => {
                let ended = Ended {
                    reason: *reason,
                    at: fact.at,
                    by: by.clone(),
                    detail: detail.clone(),
                };
                self.remembered.keep(Deed::Ended(session_id, ended));
                None
            }
            (Change::ServiceChanged { change, by }, _) => self.remember_change(fact, *change, by),
            (Change::LoginBanned { .. } | Change::LoginUnbanned { .. }, _) => {
                if let Some(left) = BanState::of(fact) {
                    self.remembered.keep(Deed::Ban(left));
                }
                None
            }
            (
                Change::SessionCreated { .. }
                | Change::SessionChanged { .. }
                | Change::SessionRotated { .. }
                | Change::SessionEnded { .. },
                _,
            ) => None,
        }
    }

    fn remember_change(
        &self,
        fact: &Fact,
        change: ServiceChange,
        by: &ServiceId,
    ) -> Option<WrittenService> {
        let service_id = fact.service_id.clone();
        let (at, by) = (fact.at, by.clone());
        match change {
            ServiceChange::Removed => {
                let left = ServiceState {
                    record: None,
                    at,
                    by,
                };
                self.remembered.keep(Deed::Service(service_id, left));
                None
            }
            ServiceChange::Registered | ServiceChange::Updated | ServiceChange::SecretRotated => {
                Some(WrittenService { service_id, at, by })
            }
        }
    }

    /// Reads what was written to a service, unless something older is there: then it is lost already.
    pub(in crate::store::redis) async fn remember_service(
        &self,
        written: &WrittenService,
    ) -> Result<(), StoreError> {
        if let Some(left) = self.service_since(written).await? {
            let service_id = written.service_id.clone();
            self.remembered.keep(Deed::Service(service_id, left));
        }
        Ok(())
    }

    async fn recall(&self, stream: usize) {
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
        stream: usize,
        place: Option<Place>,
    ) -> Result<Option<Place>, StoreError> {
        let place = match place {
            Some(place) => place,
            None => self.place_of_first(stream).await?,
        };
        let source = self.read(stream, place, READ).await?;
        let mut last = place;
        for (place, fact) in source.entries {
            last = place;
            if let Some(written) = fact.and_then(|fact| self.remember(&fact)) {
                self.remember_service(&written).await?;
            }
        }
        Ok(source.open.then_some(last))
    }

    /// Where what must be remembered begins, by the clock of the master.
    async fn place_of_first(&self, stream: usize) -> Result<Place, StoreError> {
        let clock = self.clock(places::slot(stream));
        let now = if clock.error < KEPT {
            clock.now
        } else {
            self.read(stream, Place::default(), 0).await?.now
        };
        Ok(Place::at(now).rewound(KEPT))
    }
}
