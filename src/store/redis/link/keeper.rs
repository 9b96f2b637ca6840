//! Keeps the connections of one master: makes them, feels its pulse, closes what broke.
//!
//! One attempt to connect is under way at a time, with a jittered pause before the next, so that a Redis that comes
//! back meets one probe of each gateway and then a handful of connections.

use std::collections::HashSet;
use std::slice::SliceIndex;
use std::sync::Arc;

use deadpool_redis::redis::RedisError;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::{Connection, Pool};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

use super::backoff::{Backoff, jitter};
use super::checks::Role;
use super::connect::LANES;
use super::deadline;
use super::errors::Trouble;
use super::lane::{Fault, Lane, State};
use super::pulse::{Beat, Pulse, ask};
use super::url::Address;

/// The task behind a node.
#[derive(Debug)]
pub(super) struct Keeper {
    address: Address,
    pool: Pool,
    pulse: Arc<Pulse>,
    state: watch::Sender<State>,
    faults: mpsc::Receiver<Fault>,
    changed: Arc<Notify>,
    fails_over: bool,
    last_lane: u64,
}

/// A connection that is held. It goes back to the pool when the node is dropped, and is closed when it broke.
struct Held {
    id: u64,
    connection: Connection,
}

/// What a task beside the keeper found out.
enum Chore {
    Felt {
        lane: u64,
        asked_at: Instant,
        beat: Result<Beat, RedisError>,
    },
    Connected(Result<(Connection, Beat), Trouble>),
}

/// What is held, and what is going on about it.
struct Service {
    held: Vec<Held>,
    chores: JoinSet<Chore>,
    feeling: HashSet<u64>,
    connecting: bool,
    not_before: Instant,
    turn: usize,
}

impl Keeper {
    pub(super) fn new(
        address: Address,
        pool: Pool,
        pulse: Arc<Pulse>,
        state: watch::Sender<State>,
        faults: mpsc::Receiver<Fault>,
        changed: Arc<Notify>,
        fails_over: bool,
    ) -> Self {
        Self {
            address,
            pool,
            pulse,
            state,
            faults,
            changed,
            fails_over,
            last_lane: 0,
        }
    }

    /// Never ends; the node aborts it.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match connect(self.pool.clone()).await {
                Ok((connection, beat)) => {
                    backoff.reset();
                    self.serve(connection, beat).await;
                    self.state.send_replace(State::Connecting {
                        since: Instant::now(),
                    });
                    self.changed.notify_one();
                }
                Err(trouble) => {
                    self.go_down(trouble);
                    self.changed.notify_one();
                    sleep(backoff.next(jitter())).await;
                }
            }
        }
    }

    /// Returns when no connection is left.
    async fn serve(&mut self, connection: Connection, beat: Beat) {
        let mut service = Service::new();
        tracing::info!(redis.address = %self.address, "redis.up");
        self.feel(beat);
        self.hold(&mut service, connection);
        self.changed.notify_one();
        let mut pulse = heartbeat();
        while !service.held.is_empty() {
            service.grow(&self.pool);
            tokio::select! {
                Some(fault) = self.faults.recv() => self.close(&mut service, fault),
                Some(Ok(chore)) = service.chores.join_next() => self.done(&mut service, chore),
                _ = pulse.tick() => service.feel_next(),
            }
        }
    }

    /// The log tells once of each time.
    fn go_down(&self, trouble: Trouble) {
        let before = self.state.send_replace(State::Down(Arc::new(trouble)));
        if let (false, State::Down(trouble)) =
            (matches!(before, State::Down(_)), &*self.state.borrow())
        {
            let error: &(dyn std::error::Error + 'static) = &**trouble;
            tracing::warn!(redis.address = %self.address, error, "redis.down");
        }
    }

    fn hold(&mut self, service: &mut Service, connection: Connection) {
        self.last_lane += 1;
        service.held.push(Held {
            id: self.last_lane,
            connection,
        });
        self.publish(service);
    }

    fn close(&self, service: &mut Service, fault: Fault) {
        let (lane, all) = match fault {
            Fault::Broken { lane } => (lane, false),
            Fault::Silent { lane } => (lane, true),
        };
        if !service.held.iter().any(|held| held.id == lane) {
            return;
        }
        let gone = service.held.extract_if(.., |held| all || held.id == lane);
        gone.for_each(|held| drop(Connection::take(held.connection)));
        self.publish(service);
        // What broke one connection may have broken all.
        service.feel(..);
    }

    fn publish(&self, service: &Service) {
        if !service.held.is_empty() {
            let lanes = service.held.iter().map(Held::lane).collect();
            self.state.send_replace(State::Up(lanes));
        }
    }

    fn done(&mut self, service: &mut Service, chore: Chore) {
        match chore {
            Chore::Felt {
                lane,
                asked_at,
                beat,
            } => {
                service.feeling.remove(&lane);
                match beat {
                    Ok(beat) if beat.report.role == Role::Master => self.feel(beat),
                    Ok(_) => self.close(service, Fault::Silent { lane }),
                    Err(error) => self.close(service, self.fault(lane, asked_at, &error)),
                }
            }
            Chore::Connected(Ok((connection, beat))) => {
                service.connecting = false;
                self.feel(beat);
                self.hold(service, connection);
            }
            Chore::Connected(Err(_)) => {
                service.connecting = false;
                service.not_before = Instant::now() + deadline::HEARTBEAT;
            }
        }
    }

    fn fault(&self, lane: u64, asked_at: Instant, error: &RedisError) -> Fault {
        if error.is_timeout() && self.pulse.silent_since(asked_at) {
            Fault::Silent { lane }
        } else {
            Fault::Broken { lane }
        }
    }

    fn feel(&self, beat: Beat) {
        let warnings = beat.report.warnings(self.fails_over);
        if self.pulse.warn(&warnings) {
            for warning in &warnings {
                tracing::warn!(redis.address = %self.address, %warning, "redis.configuration");
            }
        }
        if self.pulse.beat(beat.sample, beat.report.replication_id) {
            self.changed.notify_one();
        }
    }
}

impl Service {
    fn new() -> Self {
        Self {
            held: Vec::with_capacity(LANES),
            chores: JoinSet::new(),
            feeling: HashSet::new(),
            connecting: false,
            not_before: Instant::now(),
            turn: 0,
        }
    }

    /// Starts the next connection, if one is missing.
    fn grow(&mut self, pool: &Pool) {
        if self.held.len() < LANES && !self.connecting && self.not_before <= Instant::now() {
            self.connecting = true;
            let pool = pool.clone();
            self.chores
                .spawn(async move { Chore::Connected(connect(pool).await) });
        }
    }

    /// Starts a heartbeat on the next connection, so that a dead one is found even if nobody uses it.
    fn feel_next(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        let next = self.turn % self.held.len().max(1);
        self.feel(next..=next);
    }

    fn feel(&mut self, which: impl SliceIndex<[Held], Output = [Held]>) {
        for held in self.held.get(which).unwrap_or_default() {
            if self.feeling.insert(held.id) {
                let lane = held.lane();
                self.chores.spawn(async move {
                    let asked_at = Instant::now();
                    let beat = ask(lane.connection()).await;
                    Chore::Felt {
                        lane: lane.id,
                        asked_at,
                        beat,
                    }
                });
            }
        }
    }
}

impl Held {
    fn lane(&self) -> Lane {
        Lane::new(self.id, MultiplexedConnection::clone(&self.connection))
    }
}

fn heartbeat() -> Interval {
    let mut pulse = interval_at(Instant::now() + deadline::HEARTBEAT, deadline::HEARTBEAT);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pulse
}

/// A connection to a master of a version that will do.
async fn connect(pool: Pool) -> Result<(Connection, Beat), Trouble> {
    let connection = pool.get().await?;
    let checked = ask(MultiplexedConnection::clone(&connection)).await;
    let trouble = match checked {
        Ok(beat) if beat.report.role != Role::Master => Trouble::NotMaster,
        Ok(beat) if beat.report.is_too_old() => Trouble::TooOld(beat.report.version),
        Ok(beat) => return Ok((connection, beat)),
        Err(cause) => Trouble::Report(cause),
    };
    drop(Connection::take(connection));
    Err(trouble)
}
