//! One master: a few long-held connections that all requests share.
//!
//! A request never owns an exchange: the connection's driver task sends, receives and gives each answer to whom it
//! belongs, also when the asker has gone. A request never connects either; the node's one [`Supervisor`] does. While there
//! is no connection a request waits [`Deadlines::wait`] at most, and not at all once the supervisor has failed: then the
//! breaker is open, and the supervisor's attempts are the only ones. How many are under way, and who is next, is the
//! business of the [`Gate`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Cmd, RedisError, RedisResult, Value};
use deadpool_redis::{Connection, Pool};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::connect::Dialer;
use super::deadline::{self, Deadlines};
use super::errors::{ConnectError, Failure, RetryDecision};
use super::gate::{Gate, Urgency};
use super::patience::within;
use super::probe::Probe;
use super::shared_connection::{Fault, SharedConnection, State};
use super::supervisor::Supervisor;
use super::url::Address;

/// Requests that are under way or wait, whatever the gate says; more are shed at once.
const ADMITTED: usize = 4_096;

/// Reports of broken connections that wait for the supervisor; it needs one of each only.
const REPORTS: usize = 64;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) probe: Arc<Probe>,
    state: watch::Receiver<State>,
    reports: mpsc::Sender<Fault>,
    admitted: Semaphore,
    gate: Arc<Gate>,
    deadlines: Deadlines,
    turn: AtomicUsize,
    pool: Pool,
    _supervisor: AbortOnDropHandle<()>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Message<'a> {
    Plain(&'a Cmd),
    /// To a master that is taking the slot over.
    Asking(&'a Cmd),
}

impl Node {
    /// Starts to connect. `changed` is told when the node comes up, goes down, or is another server than before.
    pub(super) fn start(
        dialer: &Dialer,
        address: Address,
        changed: Arc<Notify>,
        fails_over: bool,
    ) -> RedisResult<Arc<Self>> {
        let pool = dialer.pool(&address)?;
        let probe = Arc::new(Probe::new(dialer.deadlines.command));
        let (publish, state) = watch::channel(State::Connecting {
            since: Instant::now(),
        });
        let (reports, faults) = mpsc::channel(REPORTS);
        let supervisor = Supervisor::new(
            address.clone(),
            pool.clone(),
            Arc::clone(&probe),
            publish,
            faults,
            changed,
            fails_over,
        );
        Ok(Arc::new(Self {
            address,
            probe,
            state,
            reports,
            admitted: Semaphore::new(ADMITTED),
            gate: Gate::new(dialer.deadlines),
            deadlines: dialer.deadlines,
            turn: AtomicUsize::new(0),
            pool,
            _supervisor: AbortOnDropHandle::new(tokio::spawn(supervisor.run())),
        }))
    }

    pub(super) async fn send(
        &self,
        message: Message<'_>,
        urgency: Urgency,
    ) -> Result<Value, Failure> {
        let Ok(admitted) = self.admitted.try_acquire() else {
            return Err(self.shed(urgency).await);
        };
        if let State::Down(error) = &*self.state.borrow() {
            return Err(self.down(Arc::clone(error)));
        }
        let Ok(mut turn) = self.gate.enter(urgency).await else {
            drop(admitted);
            return Err(self.shed(urgency).await);
        };
        let shared_connection = self.shared_connection().await?;
        let sent_at = Instant::now();
        let exchange = message.exchange(shared_connection.connection());
        match within(self.deadlines.command, exchange).await {
            Ok(answer) => {
                let value = self.judge(shared_connection.id, answer)?;
                // What is refused, as a script that is not known, costs a server nothing.
                turn.answered(sent_at.elapsed());
                Ok(value)
            }
            Err(elapsed) => {
                if !elapsed.starved {
                    turn.missed();
                }
                if let Some(fault) = self.probe.fault(shared_connection.id, sent_at, elapsed) {
                    self.report(fault);
                }
                Err(Failure::TimedOut(self.address.clone()))
            }
        }
    }

    async fn shed(&self, urgency: Urgency) -> Failure {
        self.gate.shed_one(urgency).await;
        Failure::Overloaded(self.address.clone())
    }

    async fn shared_connection(&self) -> Result<SharedConnection, Failure> {
        match &*self.state.borrow() {
            State::Up(shared_connections) => return self.pick(shared_connections),
            State::Down(error) => return Err(self.down(Arc::clone(error))),
            State::Connecting { .. } => {}
        }
        match self.settled().await {
            State::Up(shared_connections) => self.pick(&shared_connections),
            State::Down(error) => Err(self.down(error)),
            State::Connecting { .. } => Err(self.down(Arc::new(ConnectError::Connecting))),
        }
    }

    /// The state when it is no longer `Connecting`, or has been for the whole wait.
    async fn settled(&self) -> State {
        let mut state = self.state.clone();
        let start = match &*state.borrow() {
            State::Connecting { since } => *since,
            State::Up(_) | State::Down(_) => Instant::now(),
        };
        let settled = state.wait_for(|now| !matches!(now, State::Connecting { .. }));
        match timeout_at(start + self.deadlines.wait, settled).await {
            Ok(Ok(now)) => now.clone(),
            Ok(Err(_)) | Err(_) => State::Connecting { since: start },
        }
    }

    fn pick(&self, shared_connections: &[SharedConnection]) -> Result<SharedConnection, Failure> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        shared_connections
            .iter()
            .cycle()
            .nth(turn % shared_connections.len().max(1))
            .cloned()
            .ok_or_else(|| self.down(Arc::new(ConnectError::Connecting)))
    }

    fn down(&self, error: Arc<ConnectError>) -> Failure {
        Failure::Down {
            address: self.address.clone(),
            error,
        }
    }

    fn judge(&self, shared_connection: u64, answer: RedisResult<Value>) -> Result<Value, Failure> {
        let address = || self.address.clone();
        match answer {
            Ok(Value::ServerError(error)) => {
                self.probe.answered();
                let cause = RedisError::from(error);
                if RetryDecision::to(&cause, &self.address) == RetryDecision::Reconnect {
                    self.report(Fault::Broken { shared_connection });
                }
                Err(Failure::Refused {
                    address: address(),
                    cause,
                })
            }
            Ok(value) => {
                self.probe.answered();
                Ok(value)
            }
            Err(cause) => {
                self.report(Fault::Broken { shared_connection });
                Err(Failure::Lost {
                    address: address(),
                    cause,
                })
            }
        }
    }

    /// A report that finds no room is one of many about the same.
    fn report(&self, fault: Fault) {
        let _full_or_taken = self.reports.try_send(fault);
    }

    /// Waits until `wanted` replicas have every write that was acknowledged before.
    pub(super) async fn wait_for_replicas(&self, wanted: usize) -> Result<(), Failure> {
        let connection = self
            .pool
            .get()
            .await
            .map_err(|error| self.down(Arc::new(error.into())))?;
        let mut alone = MultiplexedConnection::clone(&connection);
        alone.set_response_timeout(deadline::REPLICAS + self.deadlines.command);
        let mut command = redis::cmd("WAIT");
        command.arg(wanted).arg(deadline::REPLICAS.as_millis());
        match command.query_async::<usize>(&mut alone).await {
            Ok(reached) if reached >= wanted => Ok(()),
            Ok(reached) => Err(Failure::NotReplicated {
                address: self.address.clone(),
                reached,
                wanted,
            }),
            Err(cause) => {
                drop(Connection::take(connection));
                Err(Failure::Lost {
                    address: self.address.clone(),
                    cause,
                })
            }
        }
    }

    /// Requests that are under way or wait for their turn.
    pub(super) fn requests(&self) -> usize {
        ADMITTED.saturating_sub(self.admitted.available_permits())
    }

    /// How many may be under way at present, and how many were shed so far.
    pub(super) fn load(&self) -> (usize, u64) {
        (self.gate.limit(), self.gate.shed())
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Returns when the state is `Up`, or an attempt has failed.
    pub(super) async fn tried(&self) {
        let mut state = self.state.clone();
        drop(
            state
                .wait_for(|now| !matches!(now, State::Connecting { .. }))
                .await,
        );
    }
}

impl Message<'_> {
    async fn exchange(self, mut connection: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Plain(command) => connection.send_packed_command(command).await,
            Self::Asking(command) => {
                let mut pipeline = redis::pipe();
                pipeline.cmd("ASKING").add_command(command.clone());
                let mut answers = connection.send_packed_commands(&pipeline, 0, 2).await?;
                Ok(answers.pop().unwrap_or(Value::Nil))
            }
        }
    }
}
