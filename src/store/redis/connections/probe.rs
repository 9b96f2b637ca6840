//! What heartbeats and answers tell of a master.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisError, Value};
use tokio::time::Instant;

use super::checks::{Report, Warning};
use super::errors::ProbeError;
use super::patience::{Elapsed, within};
use super::shared_connection::Fault;
use crate::store::node::clock::{Sample, ServerClock};

/// What is known of a master from its answers.
#[derive(Debug)]
pub(super) struct Probe {
    /// For an answer.
    deadline: Duration,
    signs: Mutex<Signs>,
    /// Read on every request.
    clock: ArcSwapOption<Sample>,
}

#[derive(Debug, Default)]
struct Signs {
    answered_at: Option<Instant>,
    replication_id: Option<Arc<str>>,
    warnings: Vec<Warning>,
}

pub(super) struct ProbeReply {
    pub(super) sample: Sample,
    pub(super) report: Report,
}

impl Probe {
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            signs: Mutex::default(),
            clock: ArcSwapOption::empty(),
        }
    }

    fn signs<T>(&self, look: impl FnOnce(&mut Signs) -> T) -> T {
        look(&mut self.signs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn answered(&self) {
        self.signs(|signs| signs.answered_at = Some(Instant::now()));
    }

    /// What is wrong with a connection on which there was no answer in time. Nothing, if that may be our own fault.
    pub(super) fn fault(
        &self,
        shared_connection: u64,
        asked_at: Instant,
        Elapsed { starved }: Elapsed,
    ) -> Option<Fault> {
        let silent = self.signs(|signs| signs.answered_at.is_none_or(|at| at < asked_at));
        match (starved, silent) {
            (true, _) => None,
            (false, true) => Some(Fault::Silent { shared_connection }),
            (false, false) => Some(Fault::Broken { shared_connection }),
        }
    }

    /// A heartbeat: asks for the time, and what `INFO` says.
    pub(super) async fn ask(
        &self,
        connection: MultiplexedConnection,
    ) -> Result<ProbeReply, ProbeError> {
        let reply = within(self.deadline, ask(connection)).await;
        Ok(reply.map_err(ProbeError::Silent)??)
    }

    /// Takes in what a heartbeat told, and tells whether this is another replication history than before.
    pub(super) fn learn(&self, sample: Sample, replication_id: Arc<str>) -> bool {
        self.signs(|signs| {
            signs.answered_at = Some(Instant::now());
            let better = self
                .clock
                .load()
                .as_deref()
                .map_or(sample, |clock| clock.or(sample));
            self.clock.store(Some(Arc::new(better)));
            let before = signs.replication_id.replace(Arc::clone(&replication_id));
            before != Some(replication_id)
        })
    }

    /// Tells whether these are other warnings than before.
    pub(super) fn warn(&self, warnings: &[Warning]) -> bool {
        self.signs(|signs| {
            let changed = signs.warnings != warnings;
            warnings.clone_into(&mut signs.warnings);
            changed
        })
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        self.signs(|signs| signs.warnings.clone())
    }

    pub(super) fn replication_id(&self) -> Option<Arc<str>> {
        self.signs(|signs| signs.replication_id.clone())
    }

    pub(super) fn clock(&self) -> Option<ServerClock> {
        Some(self.clock.load().as_ref()?.clock(Instant::now()))
    }
}

/// The sections of `INFO` that matter.
const SECTIONS: [&str; 4] = ["server", "memory", "persistence", "replication"];

async fn ask(mut connection: MultiplexedConnection) -> Result<ProbeReply, RedisError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("TIME").cmd("INFO").arg(&SECTIONS);
    let sent_at = Instant::now();
    let answers = connection.send_packed_commands(&pipeline, 0, 2).await?;
    let received_at = Instant::now();
    let answers = Value::Array(answers).extract_error()?;
    let ((seconds, micros), info): ((i64, i64), String) = redis::from_redis_value(answers)?;
    let micros = seconds.saturating_mul(1_000_000).saturating_add(micros);
    Ok(ProbeReply {
        sample: Sample::new(sent_at, received_at, micros),
        report: Report::read(&info),
    })
}
