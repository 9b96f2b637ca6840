//! The streams of the feed: one a shard and one of the services, each in the slot of what it tells.

use std::time::Duration;

use super::connections::Slot;
use super::keys::SERVICES;
use crate::store::node::tail::Clocked;
use crate::store::{Partition, Partitions};

/// A stream is a partition of the feed.
pub(super) const PARTITIONS: Partitions = Partitions::Shards;
/// How many there are.
pub(super) const STREAMS: usize = PARTITIONS.count();
/// How far apart the clocks of masters may be.
pub(super) const SKEW: Duration = Duration::from_secs(15 * 60);
/// The feed of streams.
pub(super) const FEED: Clocked = Clocked {
    partitions: PARTITIONS,
    skew: SKEW,
};

pub(super) fn slot(stream: Partition) -> Slot {
    u8::try_from(stream.0).map_or(SERVICES, Slot::Shard)
}
