//! The connections to Redis: from a slot to the master that serves it, whatever stands, falls or moves there.
//!
//! Standalone, Sentinel and Cluster differ only in who tells which master serves a slot (`watcher`). A master is a
//! node with a few connections that all requests share (`node`), kept by one task (`supervisor`). Every wait
//! has a deadline (`deadline`) that our own delays do not count against (`patience`), every queue a bound (`node`), and every
//! error of Redis a documented reaction (`errors`). What may have been done is repeated only when that does no harm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::RedisSettings;
use crate::model::Timestamp;
use crate::store::node::clock::ServerClock;
use crate::store::{MasterStats, StoreError};

mod backoff;
mod checks;
mod cluster;
mod connect;
mod deadline;
mod errors;
mod gate;
mod health;
mod node;
mod open;
mod patience;
mod probe;
mod request;
mod routes;
mod script;
mod sentinel;
mod shared_connection;
mod slot;
mod subscription;
mod supervisor;
#[cfg(test)]
pub(in crate::store::redis) mod tests;
mod topology;
mod url;
mod watcher;

pub(in crate::store::redis) use checks::Warning;
pub use deadline::Deadlines;
pub(in crate::store::redis) use errors::may_pass;
pub(in crate::store::redis) use health::{Health, MasterHealth};
pub use open::OpenError;
pub(in crate::store::redis) use request::Effect;
pub(in crate::store::redis) use script::Script;
pub(in crate::store::redis) use slot::Slot;
pub(in crate::store::redis) use subscription::Signal;
pub(in crate::store::redis) use topology::Topology;
pub(in crate::store::redis) use url::Address;
pub use url::{RedisUrl, UrlError};

use connect::Dialer;
use request::Request;
use routes::Routes;
use watcher::Watcher;

/// The connections to Redis. Clones share it.
#[derive(Clone)]
pub(in crate::store::redis) struct Connections {
    inner: Arc<Inner>,
}

struct Inner {
    routes: Arc<Routes>,
    dialer: Dialer,
    topology: watch::Receiver<Topology>,
    wait_replicas: usize,
    _watcher: AbortOnDropHandle<()>,
}

impl Connections {
    pub(in crate::store::redis) async fn open(settings: &RedisSettings) -> Result<Self, OpenError> {
        let dialer = Dialer::new(
            &settings.url,
            settings.ca_file.as_deref(),
            settings.deadlines,
        )?;
        let deployment = settings.url.deployment.clone();
        let fails_over = matches!(deployment, url::Deployment::Sentinel { .. });
        let routes = Arc::new(Routes::new(dialer.clone(), fails_over));
        let (publish, topology) = watch::channel(Topology::default());
        let mut watcher = Watcher::new(deployment, &dialer, Arc::clone(&routes), publish);
        open::reach_masters(&mut watcher, &routes).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                routes,
                dialer,
                topology,
                wait_replicas: settings.wait_replicas,
                _watcher: AbortOnDropHandle::new(tokio::spawn(watcher.run())),
            }),
        })
    }

    /// One round trip to the master of the key, which is the first argument. What only reads may be sent twice.
    pub(in crate::store::redis) async fn command(
        &self,
        slot: Slot,
        command: &Cmd,
    ) -> Result<Value, StoreError> {
        let request = Request::Command(command);
        let (value, _) = request
            .run(&self.inner.routes, slot, Effect::of(command))
            .await?;
        Ok(value)
    }

    /// One round trip to the master of the keys; two when that master has not seen the script.
    pub(in crate::store::redis) async fn script(
        &self,
        slot: Slot,
        script: &Script,
        keys: &[Vec<u8>],
        args: &[Vec<u8>],
        effect: Effect,
    ) -> Result<Value, StoreError> {
        let request = Request::Script { script, keys, args };
        let (value, _) = request.run(&self.inner.routes, slot, effect).await?;
        Ok(value)
    }

    /// Like [`Self::script`], and then waits until as many replicas as the settings ask for have what it wrote. The
    /// error that they do not come says nothing about whether it was written.
    pub(in crate::store::redis) async fn replicated_script(
        &self,
        slot: Slot,
        script: &Script,
        keys: &[Vec<u8>],
        args: &[Vec<u8>],
        effect: Effect,
    ) -> Result<Value, StoreError> {
        let request = Request::Script { script, keys, args };
        let (value, node) = request.run(&self.inner.routes, slot, effect).await?;
        if self.inner.wait_replicas > 0 {
            request::wait_for_replicas(&self.inner.routes, slot, &node, self.inner.wait_replicas)
                .await?;
        }
        Ok(value)
    }

    /// Runs a script at one master: what it says is about that one, so redirections are not followed.
    pub(in crate::store::redis) async fn script_at(
        &self,
        master: &Address,
        script: &Script,
        keys: &[Vec<u8>],
        args: &[Vec<u8>],
    ) -> Result<Value, StoreError> {
        Ok(request::run_at(&self.inner.routes, master, script, keys, args).await?)
    }

    /// The clock of the master of the slot. As long as that master has never answered, the error is beyond all bounds.
    pub(in crate::store::redis) fn clock(&self, slot: Slot) -> ServerClock {
        let routes = &self.inner.routes;
        routes
            .clock_of(slot.number())
            .or_else(|| {
                let others = routes.masters().into_iter();
                let mut clocks = others.filter_map(|node| node.probe.clock());
                clocks.next().map(|clock| ServerClock {
                    error: Duration::MAX,
                    ..clock
                })
            })
            .unwrap_or(ServerClock {
                now: Timestamp::from_millis(0),
                error: Duration::MAX,
            })
    }

    /// Until when an operation that begins at this moment may be tried again.
    pub(in crate::store::redis) fn operation_deadline(&self) -> Instant {
        Instant::now() + self.inner.routes.deadlines().operation()
    }

    /// Who the masters are, whenever that changes.
    pub(in crate::store::redis) fn topology(&self) -> watch::Receiver<Topology> {
        self.inner.topology.clone()
    }

    /// Who the masters are, as this node knows it at this moment.
    pub(in crate::store::redis) fn masters(&self) -> Topology {
        self.inner.routes.topology()
    }

    /// Messages on a channel, from every master.
    pub(in crate::store::redis) fn subscribe(&self, channel: &str) -> mpsc::Receiver<Signal> {
        subscription::start(self.inner.dialer.clone(), self.topology(), channel)
    }

    /// Whether Redis can be reached, and what an operator should know of it.
    pub(in crate::store::redis) fn health(&self) -> Health {
        Health::of(&self.inner.routes)
    }

    pub(in crate::store::redis) fn stats(&self) -> Vec<MasterStats> {
        health::stats(&self.inner.routes)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("topology", &*self.inner.topology.borrow())
            .finish_non_exhaustive()
    }
}
