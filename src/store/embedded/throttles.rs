//! Networks that are slowed down.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use redb::{ReadableTable, ReadableTableMetadata};

use super::EmbeddedStore;
use super::room::Purpose;
use super::tables::{THROTTLES, kind};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::store::throttles::MAX_THROTTLED;
use crate::store::{StoreError, ThrottleStore};

#[async_trait]
impl ThrottleStore for EmbeddedStore {
    async fn throttle(&self, networks: &[(IpAddr, Duration)]) -> Result<(), StoreError> {
        let networks = networks.to_vec();
        self.writer
            .write(Purpose::Keep, move |txn| {
                for (network, length) in &networks {
                    put(txn, &network.to_string(), txn.now.plus(*length))?;
                }
                Ok(())
            })
            .await
    }

    async fn throttled(&self, network: IpAddr) -> Result<Option<Duration>, StoreError> {
        let network = network.to_string();
        let until = self.look(|shared| until(&shared.read()?.open_table(THROTTLES)?, &network));
        let left = until.await?.map(|until| until.since(self.shared.now()));
        Ok(left.filter(|left| !left.is_zero()))
    }
}

fn until(
    throttles: &impl ReadableTable<&'static str, u64>,
    network: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let until = throttles.get(network)?;
    let millis = until.and_then(|until| i64::try_from(until.value()).ok());
    Ok(millis.map(Timestamp::from_millis))
}

fn put(txn: &mut Txn<'_>, network: &str, end: Timestamp) -> Result<(), StoreError> {
    let stands = match until(&txn.throttles, network)? {
        Some(held) => held >= end,
        None => txn.throttles.len()? >= MAX_THROTTLED as u64,
    };
    if stands {
        return Ok(());
    }
    txn.writes();
    txn.throttles.insert(network, end.sort_key())?;
    txn.purge
        .insert((end.sort_key(), kind::THROTTLE, network.as_bytes()), ())?;
    Ok(())
}

/// Forgets a network whose time is over. One that was slowed down again has another entry in the purge index.
pub(super) fn forget(txn: &mut Txn<'_>, network: &str) -> Result<(), StoreError> {
    if until(&txn.throttles, network)?.is_some_and(|until| until <= txn.now) {
        txn.writes();
        txn.throttles.remove(network)?;
    }
    Ok(())
}
