//! The streams of the feed: one a shard and one of the services, each in the slot of what it tells.

use std::time::Duration;

use super::keys::SERVICES;
use super::link::Slot;
use crate::store::Partitions;

/// A stream is a partition of the feed.
pub(super) const PARTITIONS: Partitions = Partitions::Shards;
/// How many there are.
pub(super) const STREAMS: usize = PARTITIONS.count();
/// How far apart the clocks of masters may be. Before the present by this much a quiet stream gets no more events.
pub(super) const SKEW: Duration = Duration::from_secs(15 * 60);

/// The slot of a stream.
pub(super) fn slot(stream: usize) -> Slot {
    u8::try_from(stream).map_or(SERVICES, Slot::Shard)
}
