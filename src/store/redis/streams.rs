//! The streams of the feed: one a shard and one of the services, each in the slot of what it tells.

use super::connections::Slot;
use super::keys::SERVICES;
use crate::store::{Partition, Partitions};

/// A stream is a partition of the feed.
pub(super) const PARTITIONS: Partitions = Partitions::Shards;
/// How many there are.
pub(super) const STREAMS: usize = PARTITIONS.count();
/// The stream that lies in a slot.
pub(super) fn in_slot(slot: Slot) -> Option<Partition> {
    match slot {
        Slot::Shard(shard) => Some(Partition(usize::from(shard))),
        Slot::Of(_) if slot == SERVICES => Some(PARTITIONS.of_services()),
        Slot::Of(_) | Slot::Hash(_) => None,
    }
}

pub(super) fn slot(stream: Partition) -> Slot {
    u8::try_from(stream.0).map_or(SERVICES, Slot::Shard)
}
