//! Services as they were left: of two states the later one stays.

use tokio::time::Instant;

use super::super::services::{Moments, Put, decode};
use super::super::streams::PARTITIONS;
use super::Recovery;
use crate::model::event::ServiceChange;
use crate::store::StoreError;
use crate::store::node::recovery::ServiceState;

impl Recovery {
    /// How many services were not as they were left. Nothing as long as it is not known what others did to them since
    /// the failover.
    pub(super) async fn write_services_again(
        &self,
        noticed: Option<Instant>,
    ) -> Result<Option<u64>, StoreError> {
        if self.watermarks.until(PARTITIONS.of_services()) < noticed {
            return Ok(None);
        }
        let mut count = 0;
        for (service_id, left) in self.log.services() {
            let held = self.services.held_service(&service_id).await?;
            let held = held.as_deref();
            let Some(change) = change_to(&left, held) else {
                continue;
            };
            let put =
                self.services
                    .put_service(&service_id, held, &left, change, Moments::default());
            match put.await? {
                Put::Done => count += 1,
                // Somebody else writes.
                Put::Stale(_) | Put::Early(_) => return Ok(None),
            }
        }
        Ok(Some(count))
    }
}

/// What makes a service as it was left out of the record that is held, if anything must. A record of a newer version of
/// the gateway stays.
fn change_to(left: &ServiceState, held: Option<&[u8]>) -> Option<ServiceChange> {
    let Some(held) = held else {
        return left.record.as_ref().map(|_| ServiceChange::Registered);
    };
    let held = decode(held).ok()?.service;
    match &left.record {
        Some(_) => (held.updated_at < left.at).then_some(ServiceChange::Updated),
        None => (held.created_at <= left.at).then_some(ServiceChange::Removed),
    }
}
