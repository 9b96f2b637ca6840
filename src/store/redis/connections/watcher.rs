//! Looks who the masters are: again and again, at once when something broke, and soon while a master is missing.

use std::sync::Arc;

use deadpool_redis::redis::{RedisError, RedisResult};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connect::Dialer;
use super::gate::Urgency;
use super::node::{Message, Node};
use super::routes::{Routes, SlotMap};
use super::sentinel::Sentinels;
use super::slot::SLOTS;
use super::topology::Topology;
use super::url::{Address, Deployment};
use super::{cluster, deadline};

/// The task that keeps [`Routes`] true.
#[derive(Debug)]
pub(super) struct Watcher {
    discovery: Discovery,
    routes: Arc<Routes>,
    topology: watch::Sender<Topology>,
}

/// Who can tell.
#[derive(Debug)]
enum Discovery {
    Nobody(Address),
    Sentinels(Sentinels),
    Cluster {
        dialer: Dialer,
        seeds: Vec<Address>,
        turn: usize,
    },
}

impl Watcher {
    pub(super) fn new(
        deployment: Deployment,
        dialer: &Dialer,
        routes: Arc<Routes>,
        topology: watch::Sender<Topology>,
    ) -> Self {
        let discovery = match deployment {
            Deployment::Standalone(address) => Discovery::Nobody(address),
            Deployment::Sentinel {
                sentinels,
                master,
                login,
            } => {
                let dialer = dialer.for_sentinels(&login);
                Discovery::Sentinels(Sentinels::new(dialer, &sentinels, master))
            }
            Deployment::Cluster(seeds) => Discovery::Cluster {
                dialer: dialer.clone(),
                seeds,
                turn: 0,
            },
        };
        Self {
            discovery,
            routes,
            topology,
        }
    }

    /// Never ends; whoever holds the connections aborts it.
    pub(super) async fn run(mut self) {
        loop {
            let pause = if self.routes.all_up() {
                deadline::LOOK
            } else {
                deadline::LOOK_SOON
            };
            // Whether it was woken or the pause is over, it looks.
            let _woken = timeout(pause, self.routes.changed.notified()).await;
            if let Err(error) = self.look().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "redis.topology");
            }
            sleep(deadline::LOOK_APART).await;
        }
    }

    /// Why somebody who could tell cannot be asked.
    pub(super) async fn obstacle(&self) -> Option<(Address, RedisError)> {
        let (dialer, addresses) = match &self.discovery {
            Discovery::Nobody(_) => return None,
            Discovery::Sentinels(sentinels) => sentinels.addresses(),
            Discovery::Cluster { dialer, seeds, .. } => (dialer, seeds.iter().collect()),
        };
        for address in addresses {
            if let Err(cause) = dialer.ping(address).await {
                return Some((address.clone(), cause));
            }
        }
        None
    }

    pub(super) async fn look(&mut self) -> RedisResult<()> {
        if let Some(slot_map) = self.discovery.slot_map(&self.routes).await {
            self.routes.follow(slot_map)?;
        }
        let now = self.routes.topology();
        self.topology.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        Ok(())
    }
}

impl Discovery {
    /// What is told now; nothing if nobody answers, and then what was told before goes on.
    async fn slot_map(&mut self, routes: &Routes) -> Option<SlotMap> {
        match self {
            Self::Nobody(address) => Some(whole(address.clone())),
            Self::Sentinels(sentinels) => sentinels.master().await.map(whole),
            Self::Cluster {
                dialer,
                seeds,
                turn,
            } => {
                *turn = turn.wrapping_add(1);
                match ask_masters(&routes.masters(), *turn).await {
                    Some(slot_map) => Some(slot_map),
                    None => ask_seeds(dialer, seeds).await,
                }
            }
        }
    }
}

fn whole(address: Address) -> SlotMap {
    vec![(0..=SLOTS - 1, address)]
}

/// Asks the masters in turn, lest one with an old map is asked for ever.
async fn ask_masters(masters: &[Arc<Node>], turn: usize) -> Option<SlotMap> {
    let up: Vec<_> = masters.iter().filter(|node| node.is_up()).collect();
    for step in 0..up.len() {
        let node = up.get((turn + step) % up.len())?;
        let question = cluster::question();
        let asked = node.send(Message::Plain(&question), Urgency::First);
        let answer = asked.await;
        if let Ok(slot_map) = answer.map(|answer| cluster::slot_map(&answer, &node.address)) {
            return slot_map;
        }
    }
    None
}

async fn ask_seeds(dialer: &Dialer, seeds: &[Address]) -> Option<SlotMap> {
    for seed in seeds {
        let Ok(mut connection) = dialer.connect(seed).await else {
            continue;
        };
        let answer = connection.send_packed_command(&cluster::question()).await;
        if let Ok(Some(slot_map)) = answer.map(|answer| cluster::slot_map(&answer, seed)) {
            return Some(slot_map);
        }
    }
    None
}
