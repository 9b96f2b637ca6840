//! Which connections have a place, and which give way.
//!
//! Beyond the bound a connection is still taken, as one of a few spare ones, from which nothing may be asked but how the
//! gateway is; with its first other request it takes the place of the connection that has been idle for the longest.
//! Connections of one address on which no service has proved itself have a bound of their own, so that no stranger takes
//! the places of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::ServerSettings;
use super::exchange::{Exchange, LEAST_IDLE};
use crate::model::network::network_of;

/// How long nobody is looked for after nobody was found.
const PAUSE: Duration = Duration::from_millis(10);

/// How many connections that may give way are noted at a look at all of them.
const NOTED: usize = 64;

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Admission {
    bounds: Bounds,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Bounds {
    full: usize,
    spare: usize,
    strangers: usize,
}

/// What has a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pool {
    Full,
    Spare,
    /// Connections of one address on which no service has proved itself.
    Strangers(IpAddr),
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    connections: HashMap<u64, Connection>,
    pools: HashMap<Pool, Members>,
    warned: bool,
}

#[derive(Debug)]
struct Connection {
    exchange: Exchange,
    pool: Pool,
    /// The address it counts for.
    stranger: Option<IpAddr>,
}

/// What came of a connection.
enum Taken {
    Placed(u64, Pool),
    /// Its address has more than its share.
    Crowded,
    NoRoom,
}

#[derive(Debug, Default)]
struct Members {
    count: usize,
    /// Those that were idle when they were looked for, the longest last.
    idle: Vec<(Instant, u64)>,
    nobody_before: Option<Instant>,
}

impl Connection {
    fn pools(&self) -> impl Iterator<Item = Pool> {
        [Some(self.pool), self.stranger.map(Pool::Strangers)]
            .into_iter()
            .flatten()
    }
}

impl Table {
    fn count(&self, pool: Pool) -> usize {
        self.pools.get(&pool).map_or(0, |members| members.count)
    }

    fn join(&mut self, pool: Pool) {
        self.pools.entry(pool).or_default().count += 1;
    }

    fn leave(&mut self, pool: Pool) {
        if let Some(members) = self.pools.get_mut(&pool) {
            members.count = members.count.saturating_sub(1);
            if members.count == 0 {
                self.pools.remove(&pool);
            }
        }
    }

    fn insert(&mut self, connection: Connection) -> u64 {
        let id = self.next;
        self.next += 1;
        for pool in connection.pools() {
            self.join(pool);
        }
        self.connections.insert(id, connection);
        id
    }

    fn remove(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            for pool in connection.pools() {
                self.leave(pool);
            }
        }
    }

    /// Whether the one that has been idle for the longest gave way to another.
    fn give_way(&mut self, pool: Pool) -> bool {
        let now = Instant::now();
        loop {
            let Some(members) = self.pools.get_mut(&pool) else {
                return false;
            };
            let Some((since, id)) = members.idle.pop() else {
                if members.nobody_before.is_some_and(|until| now < until) {
                    return false;
                }
                members.idle = longest_idle(&self.connections, pool, now);
                if members.idle.is_empty() {
                    members.nobody_before = Some(now + PAUSE);
                }
                continue;
            };
            let connection = self.connections.get(&id);
            if connection.is_some_and(|connection| connection.exchange.give_way(since)) {
                self.remove(id);
                return true;
            }
        }
    }

    /// Whether there is room in a pool for one more, perhaps because another gave way.
    fn has_room(&mut self, pool: Pool, bound: usize) -> bool {
        self.count(pool) < bound || self.give_way(pool)
    }
}

fn longest_idle(
    connections: &HashMap<u64, Connection>,
    pool: Pool,
    now: Instant,
) -> Vec<(Instant, u64)> {
    let members = connections
        .iter()
        .filter(|(_, connection)| connection.pools().any(|of| of == pool));
    let mut idle: Vec<(Instant, u64)> = members
        .filter_map(|(id, connection)| Some((connection.exchange.idle_since(now)?, *id)))
        .collect();
    if idle.len() > NOTED {
        idle.select_nth_unstable(NOTED);
        idle.truncate(NOTED);
    }
    idle.sort_unstable_by(|one, other| other.cmp(one));
    idle
}

impl Admission {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            bounds: Bounds {
                full: settings.max_connections,
                spare: settings.max_connections.div_ceil(10),
                strangers: settings.max_connections_per_address,
            },
            table: Mutex::default(),
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Table) -> T) -> T {
        use_it(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a connection, once there is room for it. It counts for its address, if there is one, until a service has
    /// proved itself. None if it cannot be taken, as its address has more than its share and none of it is idle.
    pub(super) async fn place(
        self: &Arc<Self>,
        exchange: &Exchange,
        address: Option<IpAddr>,
    ) -> Option<Place> {
        let stranger = address.map(network_of);
        loop {
            match self.with(|table| self.take(table, exchange, stranger)) {
                Taken::Placed(id, pool) => {
                    return Some(Place {
                        admission: Arc::clone(self),
                        id,
                        is_full: AtomicBool::new(pool == Pool::Full),
                        is_stranger: AtomicBool::new(stranger.is_some()),
                    });
                }
                Taken::Crowded => return None,
                Taken::NoRoom => tokio::time::sleep(LEAST_IDLE).await,
            }
        }
    }

    fn take(&self, table: &mut Table, exchange: &Exchange, stranger: Option<IpAddr>) -> Taken {
        let within_share = stranger
            .is_none_or(|address| table.has_room(Pool::Strangers(address), self.bounds.strangers));
        let pool = if within_share && self.is_below(table) {
            Pool::Full
        } else if table.has_room(Pool::Spare, self.bounds.spare) {
            Pool::Spare
        } else if within_share {
            return Taken::NoRoom;
        } else {
            return Taken::Crowded;
        };
        let connection = Connection {
            exchange: exchange.clone(),
            pool,
            stranger,
        };
        Taken::Placed(table.insert(connection), pool)
    }

    /// Whether fewer connections are open than may be. Tells once when not.
    fn is_below(&self, table: &mut Table) -> bool {
        let open = table.count(Pool::Full);
        if open < self.bounds.full {
            // Not at every one that comes and goes.
            table.warned &= open + self.bounds.spare >= self.bounds.full;
            return true;
        }
        if !std::mem::replace(&mut table.warned, true) {
            tracing::warn!(
                "as many connections are open as SGW_MAX_CONNECTIONS allows; the longest idle give way"
            );
        }
        false
    }

    /// Whether this connection has a place now.
    fn claim(&self, id: u64) -> bool {
        self.with(|table| {
            let Some(connection) = table.connections.get(&id) else {
                // It has given way, and this request came before it heard of it.
                return true;
            };
            let stranger = connection.stranger;
            let within_share = stranger.is_none_or(|address| {
                // It is counted itself.
                table.has_room(Pool::Strangers(address), self.bounds.strangers + 1)
            });
            if !within_share || !table.has_room(Pool::Full, self.bounds.full) {
                return false;
            }
            if let Some(connection) = table.connections.get_mut(&id) {
                connection.pool = Pool::Full;
                table.leave(Pool::Spare);
                table.join(Pool::Full);
            }
            true
        })
    }
}

/// What a connection has of the bounds, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    id: u64,
    is_full: AtomicBool,
    is_stranger: AtomicBool,
}

impl Place {
    /// Whether any request may be served. One that came to a server full of connections waits a moment for one of them
    /// to be idle long enough.
    pub(super) async fn claim(&self) -> bool {
        if self.is_full.load(Ordering::Relaxed) {
            return true;
        }
        let mut claimed = self.admission.claim(self.id);
        if !claimed {
            tokio::time::sleep(LEAST_IDLE).await;
            claimed = self.admission.claim(self.id);
        }
        self.is_full.store(claimed, Ordering::Relaxed);
        claimed
    }

    /// Whether no service has proved itself yet.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_stranger.load(Ordering::Relaxed)
    }

    /// A service has proved itself.
    pub(super) fn recognise(&self) {
        self.is_stranger.store(false, Ordering::Relaxed);
        self.admission.with(|table| {
            let connection = table.connections.get_mut(&self.id);
            if let Some(address) = connection.and_then(|connection| connection.stranger.take()) {
                table.leave(Pool::Strangers(address));
            }
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.with(|table| table.remove(self.id));
    }
}
