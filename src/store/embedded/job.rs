//! Work for the writer, who waits for it, and what they are told when its group failed.

use std::error::Error as StdError;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::oneshot;

use super::txn::Txn;
use crate::store::StoreError;
use crate::telemetry::panics::Contained;

/// Why nothing of a group is written.
#[derive(Debug, Clone, Error)]
pub(super) enum GroupFailure {
    #[error("a write of the same group failed half-way; nothing of the group was kept")]
    Torn,
    #[error("there was no room for a group of writes; nothing of it was kept")]
    NoRoom,
    /// Or nobody knows whether.
    #[error("the storage engine failed")]
    Engine(#[source] Arc<dyn StdError + Send + Sync>),
    #[error("the storage engine failed: {0}")]
    Panicked(Contained),
    #[error("writing stopped before")]
    Stopped,
}

impl GroupFailure {
    /// What somebody is told whose write was in the group.
    pub(super) fn to_store_error(&self) -> StoreError {
        match self {
            Self::NoRoom => StoreError::Full,
            Self::Stopped => StoreError::WritesStopped,
            Self::Torn | Self::Engine(_) | Self::Panicked(_) => {
                StoreError::Unavailable(Box::new(self.clone()))
            }
        }
    }
}

/// Work for the writer, with somebody who waits for its answer.
pub(super) trait Job: Send {
    /// Does the work. An error says that it wrote something before it failed.
    fn run(&mut self, txn: &mut Txn<'_>) -> Result<(), TornJob>;

    /// Answers: what the work said, or that the group failed.
    fn answer(self: Box<Self>, failure: Option<&GroupFailure>);
}

/// A job wrote something before it failed.
pub(super) struct TornJob;

/// The usual one.
pub(super) struct Task<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F> {
    /// For who waits for the answer.
    pub(super) fn of(work: F) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let task = Self {
            work: Some(work),
            outcome: None,
            reply,
        };
        (task, answer)
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, txn: &mut Txn<'_>) -> Result<(), TornJob> {
        if self.reply.is_closed() {
            return Ok(());
        }
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        txn.begin_job();
        let outcome = work(txn);
        let torn = outcome.is_err() && txn.job_wrote;
        self.outcome = Some(outcome);
        if torn { Err(TornJob) } else { Ok(()) }
    }

    fn answer(self: Box<Self>, failure: Option<&GroupFailure>) {
        let answer = match (self.outcome, failure) {
            (_, Some(failure @ GroupFailure::NoRoom)) => Err(failure.to_store_error()),
            (Some(Err(error)), _) => Err(error),
            (_, Some(failure)) => Err(failure.to_store_error()),
            (Some(outcome), None) => outcome,
            (None, None) => return,
        };
        // Whoever waited may have left; the write stands all the same.
        drop(self.reply.send(answer));
    }
}
