//! Who the masters are, and whose history each continues.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::slot::Slot;
use super::url::Address;

/// The masters, as this node knows them. It changes when a failover, a restart or a move of slots is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::store::redis) struct Topology {
    pub(in crate::store::redis) masters: Vec<Master>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::redis) struct Master {
    pub(in crate::store::redis) address: Address,
    /// Changes when the server was restarted or took over: then acknowledged writes may be gone. Not known before the
    /// first connection.
    pub(in crate::store::redis) replication_id: Option<Arc<str>>,
    pub(in crate::store::redis) slots: Vec<RangeInclusive<u16>>,
}

impl Topology {
    /// The master of a slot, if one is known.
    pub(in crate::store::redis) fn master_of(&self, slot: Slot) -> Option<&Master> {
        let number = slot.number();
        self.masters
            .iter()
            .find(|master| master.slots.iter().any(|range| range.contains(&number)))
    }
}
