//! Networks that are slowed down, told from node to node.

use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;

/// Networks that are kept at a time, at some 100 bytes each.
pub(in crate::store) const MAX_THROTTLED: usize = 10_000;

/// Networks that are slowed down because too many authentications failed there, each as
/// [`network_of`](crate::model::network::network_of) tells it. What is kept outlives the node that told it.
#[async_trait]
pub trait ThrottleStore: Debug + Send + Sync {
    /// Slows networks down, each for so long from now on; the later end stands. Beyond 10,000 no new ones are kept.
    async fn throttle(&self, networks: &[(IpAddr, Duration)]) -> Result<(), StoreError>;

    /// For how much longer a network is slowed down.
    async fn throttled(&self, network: IpAddr) -> Result<Option<Duration>, StoreError>;
}
