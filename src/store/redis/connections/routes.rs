//! The way from a slot to its master.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use deadpool_redis::redis::RedisResult;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connect::Dialer;
use super::deadline::Deadlines;
use super::errors::Failure;
use super::node::Node;
use super::topology::{Master, Topology};
use super::url::Address;
use crate::store::node::clock::ServerClock;

/// How long a master that serves no slot stays connected after a redirection led to it.
const VISIT: Duration = Duration::from_secs(60);

/// Who serves which slots, as somebody told.
pub(super) type SlotMap = Vec<(RangeInclusive<u16>, Address)>;

#[derive(Debug)]
pub(super) struct Routes {
    dialer: Dialer,
    fails_over: bool,
    /// Wakes who looks for masters.
    pub(super) changed: Arc<Notify>,
    table: ArcSwap<Table>,
    visited: Mutex<HashMap<Address, (Arc<Node>, Instant)>>,
}

#[derive(Debug, Default)]
struct Table {
    /// In order of slots.
    ranges: Vec<(RangeInclusive<u16>, Arc<Node>)>,
}

impl Table {
    fn of(&self, slot: u16) -> Option<&Arc<Node>> {
        let ranges = &self.ranges;
        let next = ranges.partition_point(|(range, _)| *range.end() < slot);
        let (range, node) = ranges.get(next)?;
        range.contains(&slot).then_some(node)
    }
}

impl Routes {
    pub(super) fn new(dialer: Dialer, fails_over: bool) -> Self {
        Self {
            dialer,
            fails_over,
            changed: Arc::new(Notify::new()),
            table: ArcSwap::default(),
            visited: Mutex::default(),
        }
    }

    pub(super) fn deadlines(&self) -> Deadlines {
        self.dialer.deadlines
    }

    pub(super) fn of(&self, slot: u16) -> Result<Arc<Node>, Failure> {
        let table = self.table.load();
        let node = table.of(slot).ok_or(Failure::NoMaster(slot))?;
        Ok(Arc::clone(node))
    }

    pub(super) fn clock_of(&self, slot: u16) -> Option<ServerClock> {
        self.table.load().of(slot)?.probe.clock()
    }

    /// Every master that serves slots, once.
    pub(super) fn masters(&self) -> Vec<Arc<Node>> {
        let mut masters: Vec<Arc<Node>> = Vec::new();
        for (_, node) in &self.table.load().ranges {
            if !masters.iter().any(|known| Arc::ptr_eq(known, node)) {
                masters.push(Arc::clone(node));
            }
        }
        masters
    }

    /// The node at an address that Redis named in a redirection.
    pub(super) fn visit(&self, address: Address) -> RedisResult<Arc<Node>> {
        let mut masters = self.masters().into_iter();
        if let Some(node) = masters.find(|node| node.address == address) {
            return Ok(node);
        }
        let mut visited = self.visited();
        if let Some((node, at)) = visited.get_mut(&address) {
            *at = Instant::now();
            return Ok(Arc::clone(node));
        }
        let node = self.start(address.clone())?;
        visited.insert(address, (Arc::clone(&node), Instant::now()));
        Ok(node)
    }

    /// Nodes that serve no slot as far as is known; those that nobody was led to for long are left.
    fn visited(&self) -> MutexGuard<'_, HashMap<Address, (Arc<Node>, Instant)>> {
        let mut visited = self.visited.lock().unwrap_or_else(PoisonError::into_inner);
        visited.retain(|_, (_, at)| at.elapsed() < VISIT);
        visited
    }

    fn start(&self, address: Address) -> RedisResult<Arc<Node>> {
        let changed = Arc::clone(&self.changed);
        Node::start(&self.dialer, address, changed, self.fails_over)
    }

    /// Follows a map. Masters that are connected to already keep their connections.
    pub(super) fn follow(&self, mut slot_map: SlotMap) -> RedisResult<()> {
        slot_map.sort_by_key(|(range, _)| *range.start());
        let visited = self
            .visited()
            .values()
            .map(|(node, _)| Arc::clone(node))
            .collect();
        let known: Vec<_> = [self.masters(), visited].concat();
        let mut known: HashMap<Address, Arc<Node>> = known
            .into_iter()
            .map(|node| (node.address.clone(), node))
            .collect();
        let mut ranges = Vec::with_capacity(slot_map.len());
        for (range, address) in slot_map {
            let node = match known.get(&address) {
                Some(node) => Arc::clone(node),
                None => self.start(address.clone())?,
            };
            known.insert(address, Arc::clone(&node));
            ranges.push((range, node));
        }
        self.table.store(Arc::new(Table { ranges }));
        Ok(())
    }

    pub(super) fn all_up(&self) -> bool {
        let masters = self.masters();
        !masters.is_empty() && masters.iter().all(|node| node.is_up())
    }

    pub(super) fn topology(&self) -> Topology {
        let table = self.table.load();
        let slots_of = |node: &Arc<Node>| {
            let own = table.ranges.iter().filter(|(_, of)| Arc::ptr_eq(of, node));
            own.map(|(range, _)| range.clone()).collect()
        };
        let masters = self.masters().into_iter().map(|node| Master {
            address: node.address.clone(),
            replication_id: node.probe.replication_id(),
            slots: slots_of(&node),
        });
        Topology {
            masters: masters.collect(),
        }
    }
}
