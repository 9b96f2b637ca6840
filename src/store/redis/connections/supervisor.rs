//! Keeps the connections of one master: makes them, probes them, closes what broke.
//!
//! One attempt to connect is under way at a time, with a jittered pause before the next, so that a Redis that comes
//! back meets one attempt of each gateway and then a handful of connections.

use std::collections::HashSet;
use std::slice::SliceIndex;
use std::sync::Arc;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::{Connection, Pool};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

use super::backoff::{Backoff, jitter};
use super::checks::Role;
use super::connect::SHARED_CONNECTIONS;
use super::deadline;
use super::errors::{ConnectError, ProbeError};
use super::probe::{Probe, ProbeReply};
use super::shared_connection::{Fault, SharedConnection, State};
use super::url::Address;

#[derive(Debug)]
pub(super) struct Supervisor {
    address: Address,
    pool: Pool,
    probe: Arc<Probe>,
    state: watch::Sender<State>,
    faults: mpsc::Receiver<Fault>,
    changed: Arc<Notify>,
    fails_over: bool,
    last_id: u64,
}

/// A connection that is held. It goes back to the pool when the node is dropped, and is closed when it broke.
struct Held {
    id: u64,
    connection: Connection,
}

/// What a task beside the supervisor found out.
enum Task {
    Probed {
        shared_connection: u64,
        asked_at: Instant,
        reply: Result<ProbeReply, ProbeError>,
    },
    Connected(Result<(Connection, ProbeReply), ConnectError>),
}

/// What is held, and what is going on about it.
struct Service {
    probe: Arc<Probe>,
    held: Vec<Held>,
    tasks: JoinSet<Task>,
    probing: HashSet<u64>,
    connecting: bool,
    not_before: Instant,
    turn: usize,
}

impl Supervisor {
    pub(super) fn new(
        address: Address,
        pool: Pool,
        probe: Arc<Probe>,
        state: watch::Sender<State>,
        faults: mpsc::Receiver<Fault>,
        changed: Arc<Notify>,
        fails_over: bool,
    ) -> Self {
        Self {
            address,
            pool,
            probe,
            state,
            faults,
            changed,
            fails_over,
            last_id: 0,
        }
    }

    /// Never ends; the node aborts it.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match connect(self.pool.clone(), &self.probe).await {
                Ok((connection, reply)) => {
                    backoff.reset();
                    self.serve(connection, reply).await;
                    self.state.send_replace(State::Connecting {
                        since: Instant::now(),
                    });
                    self.changed.notify_one();
                }
                Err(error) => {
                    self.go_down(error);
                    self.changed.notify_one();
                    sleep(backoff.next(jitter())).await;
                }
            }
        }
    }

    /// Returns when no connection is left.
    async fn serve(&mut self, connection: Connection, reply: ProbeReply) {
        let mut service = Service::new(Arc::clone(&self.probe));
        tracing::info!(redis.address = %self.address, "redis.up");
        self.learn(reply);
        self.hold(&mut service, connection);
        self.changed.notify_one();
        let mut heartbeats = heartbeats();
        while !service.held.is_empty() {
            service.grow(&self.pool);
            tokio::select! {
                Some(fault) = self.faults.recv() => self.close(&mut service, fault),
                Some(Ok(task)) = service.tasks.join_next() => self.done(&mut service, task),
                _ = heartbeats.tick() => service.probe_next(),
            }
        }
    }

    /// The log tells once of each time.
    fn go_down(&self, error: ConnectError) {
        let before = self.state.send_replace(State::Down(Arc::new(error)));
        if let (false, State::Down(error)) =
            (matches!(before, State::Down(_)), &*self.state.borrow())
        {
            let error: &(dyn std::error::Error + 'static) = &**error;
            tracing::warn!(redis.address = %self.address, error, "redis.down");
        }
    }

    fn hold(&mut self, service: &mut Service, connection: Connection) {
        self.last_id += 1;
        service.held.push(Held {
            id: self.last_id,
            connection,
        });
        self.publish(service);
    }

    fn close(&self, service: &mut Service, fault: Fault) {
        let (shared_connection, all) = match fault {
            Fault::Broken { shared_connection } => (shared_connection, false),
            Fault::Silent { shared_connection } => (shared_connection, true),
        };
        if !service.held.iter().any(|held| held.id == shared_connection) {
            return;
        }
        let gone = service
            .held
            .extract_if(.., |held| all || held.id == shared_connection);
        gone.for_each(|held| drop(Connection::take(held.connection)));
        self.publish(service);
        // What broke one connection may have broken all.
        service.probe(..);
    }

    fn publish(&self, service: &Service) {
        if !service.held.is_empty() {
            let shared_connections = service.held.iter().map(Held::shared_connection).collect();
            self.state.send_replace(State::Up(shared_connections));
        }
    }

    fn done(&mut self, service: &mut Service, task: Task) {
        match task {
            Task::Probed {
                shared_connection,
                asked_at,
                reply,
            } => {
                service.probing.remove(&shared_connection);
                match reply {
                    Ok(reply) if reply.report.role == Role::Master => self.learn(reply),
                    Ok(_) => self.close(service, Fault::Silent { shared_connection }),
                    Err(ProbeError::Silent(elapsed)) => {
                        if let Some(fault) = self.probe.fault(shared_connection, asked_at, elapsed)
                        {
                            self.close(service, fault);
                        }
                    }
                    Err(ProbeError::Failed(_)) => {
                        self.close(service, Fault::Broken { shared_connection });
                    }
                }
            }
            Task::Connected(Ok((connection, reply))) => {
                service.connecting = false;
                self.learn(reply);
                self.hold(service, connection);
            }
            Task::Connected(Err(_)) => {
                service.connecting = false;
                service.not_before = Instant::now() + deadline::HEARTBEAT;
            }
        }
    }

    fn learn(&self, reply: ProbeReply) {
        let warnings = reply.report.warnings(self.fails_over);
        if self.probe.warn(&warnings) {
            for warning in &warnings {
                tracing::warn!(redis.address = %self.address, %warning, "redis.configuration");
            }
        }
        if self.probe.learn(reply.sample, reply.report.replication_id) {
            self.changed.notify_one();
        }
    }
}

impl Service {
    fn new(probe: Arc<Probe>) -> Self {
        Self {
            probe,
            held: Vec::with_capacity(SHARED_CONNECTIONS),
            tasks: JoinSet::new(),
            probing: HashSet::new(),
            connecting: false,
            not_before: Instant::now(),
            turn: 0,
        }
    }

    /// Starts the next connection, if one is missing.
    fn grow(&mut self, pool: &Pool) {
        if self.held.len() < SHARED_CONNECTIONS
            && !self.connecting
            && self.not_before <= Instant::now()
        {
            self.connecting = true;
            let (pool, probe) = (pool.clone(), Arc::clone(&self.probe));
            self.tasks
                .spawn(async move { Task::Connected(connect(pool, &probe).await) });
        }
    }

    /// Starts a heartbeat on the next connection, so that a dead one is found even if nobody uses it.
    fn probe_next(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        let next = self.turn % self.held.len().max(1);
        self.probe(next..=next);
    }

    fn probe(&mut self, which: impl SliceIndex<[Held], Output = [Held]>) {
        for held in self.held.get(which).unwrap_or_default() {
            if self.probing.insert(held.id) {
                let (shared_connection, probe) =
                    (held.shared_connection(), Arc::clone(&self.probe));
                self.tasks.spawn(async move {
                    let asked_at = Instant::now();
                    let reply = probe.ask(shared_connection.connection()).await;
                    Task::Probed {
                        shared_connection: shared_connection.id,
                        asked_at,
                        reply,
                    }
                });
            }
        }
    }
}

impl Held {
    fn shared_connection(&self) -> SharedConnection {
        SharedConnection::new(self.id, MultiplexedConnection::clone(&self.connection))
    }
}

fn heartbeats() -> Interval {
    let mut heartbeats = interval_at(Instant::now() + deadline::HEARTBEAT, deadline::HEARTBEAT);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeats
}

/// A connection to a master of a version that will do.
async fn connect(pool: Pool, probe: &Probe) -> Result<(Connection, ProbeReply), ConnectError> {
    let connection = pool.get().await?;
    let checked = probe.ask(MultiplexedConnection::clone(&connection)).await;
    let error = match checked {
        Ok(reply) if reply.report.role != Role::Master => ConnectError::NotMaster,
        Ok(reply) if reply.report.is_too_old() => ConnectError::TooOld(reply.report.version),
        Ok(reply) => return Ok((connection, reply)),
        Err(cause) => ConnectError::Report(cause),
    };
    drop(Connection::take(connection));
    Err(error)
}
