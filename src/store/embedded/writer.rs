//! Group commit: one thread writes. It takes all jobs that wait, runs them in one transaction, makes it durable, and
//! only then answers them. After a commit that failed nobody knows what the disk holds, so nothing is written again.

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::Durability;
use thiserror::Error;
use tokio::sync::oneshot;

use super::txn::Txn;
use super::wall_clock::StepLog;
use super::{DEADLINE, Shared};
use crate::model::Timestamp;
use crate::model::event::Event;
use crate::store::node::activity::SessionActivity;
use crate::store::{OpError, Origin, StoreError};

/// Jobs that may wait; one more is refused.
const QUEUE: usize = 4_096;
/// Jobs that share one commit, which bounds how long the first of them waits.
const GROUP: usize = 512;
/// Uses that are written along with a group.
const TOUCHES: usize = 512;
/// How often uses are looked after while there is nothing else to write.
const TOUCH_PERIOD: Duration = Duration::from_millis(100);

/// The queue to the writing thread. Dropping it writes what waits, uses included, and closes the file.
#[derive(Debug)]
pub(super) struct Writer {
    queue: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Run(Box<dyn Job>),
    Close,
}

/// Work for the writer, with somebody who waits for its answer.
trait Job: Send {
    /// Does the work. An error says that it wrote something before it failed.
    fn run(&mut self, txn: &mut Txn<'_>) -> Result<(), TornJob>;

    /// Answers: what the work said, or that the group failed.
    fn answer(self: Box<Self>, failure: Option<&GroupFailure>);
}

struct TornJob;

struct Task<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// Why nothing of a group is known to be written.
#[derive(Debug, Clone, Error)]
enum GroupFailure {
    #[error("a write of the same group failed half-way; nothing of the group was kept")]
    Torn,
    #[error("the storage engine failed")]
    Engine(#[source] Arc<dyn StdError + Send + Sync>),
    #[error("a write panicked")]
    Panicked,
    #[error("writing stopped before")]
    Stopped,
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
            (Some(Err(error)), _) => Err(error),
            (_, Some(GroupFailure::Stopped)) => Err(StoreError::WritesStopped),
            (_, Some(failure)) => Err(StoreError::Unavailable(Box::new(failure.clone()))),
            (Some(outcome), None) => outcome,
            (None, None) => return,
        };
        // Whoever waited may have left; the write stands all the same.
        drop(self.reply.send(answer));
    }
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&shared, &jobs))?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// [`write`](Self::write) for work that may be refused, and writes nothing then.
    pub(super) async fn operate<T, F>(&self, work: F) -> Result<T, OpError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, OpError> + Send + 'static,
    {
        let work = |txn: &mut Txn<'_>| match work(txn) {
            Ok(done) => Ok(Ok(done)),
            Err(OpError::Refused(refusal)) => Ok(Err(refusal)),
            Err(OpError::Store(error)) => Err(error),
        };
        Ok(self.write(work).await??)
    }

    /// Runs `work` in the next group and answers when it is durable. If the caller stops waiting before the work has
    /// begun, it is left out.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task {
            work: Some(work),
            outcome: None,
            reply,
        };
        match self.queue.try_send(Message::Run(Box::new(task))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Overloaded),
            Err(TrySendError::Disconnected(_)) => return Err(StoreError::WritesStopped),
        }
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(gone)) => Err(StoreError::Unavailable(Box::new(gone))),
            Err(_elapsed) => Err(StoreError::TimedOut),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Fails only when the thread is gone, and then there is nothing to close.
        drop(self.queue.send(Message::Close));
        if let Some(Err(_panic)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the writing thread of the store panicked");
        }
    }
}

fn run(shared: &Shared, queue: &Receiver<Message>) {
    let mut wait = TOUCH_PERIOD;
    let mut step_log = StepLog::default();
    loop {
        let mut open = true;
        let mut jobs = Vec::new();
        match queue.recv_timeout(wait) {
            Ok(Message::Run(job)) => {
                jobs.push(job);
                while jobs.len() < GROUP {
                    match queue.try_recv() {
                        Ok(Message::Run(job)) => jobs.push(job),
                        Ok(Message::Close) => open = false,
                        Err(_) => break,
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => open = false,
        }
        step_log.look(&*shared.clock);
        let activity = shared.activity.due(shared.now(), TOUCHES);
        write_group(shared, jobs, &activity);
        if !open {
            return write_all_touches(shared);
        }
        wait = if activity.len() < TOUCHES || shared.writes_stopped() {
            TOUCH_PERIOD
        } else {
            Duration::ZERO
        };
    }
}

fn write_all_touches(shared: &Shared) {
    loop {
        let activity = shared
            .activity
            .due(Timestamp::from_millis(i64::MAX), TOUCHES);
        if activity.is_empty() || shared.writes_stopped() {
            return;
        }
        write_group(shared, Vec::new(), &activity);
    }
}

fn write_group(shared: &Shared, mut jobs: Vec<Box<dyn Job>>, activity: &[SessionActivity]) {
    if jobs.is_empty() && activity.is_empty() {
        return;
    }
    let failure = if shared.writes_stopped() {
        Some(GroupFailure::Stopped)
    } else {
        let attempt = AssertUnwindSafe(|| commit(shared, &mut jobs, activity));
        let result = catch_unwind(attempt).unwrap_or(Err(GroupFailure::Panicked));
        result.err()
    };
    match &failure {
        None => {
            let now = shared.now();
            for touch in activity {
                shared.activity.written(*touch, now);
            }
        }
        Some(GroupFailure::Engine(_) | GroupFailure::Panicked) => {
            shared.stop_writes();
            tracing::error!(error = ?failure, "the store takes no more writes");
        }
        Some(GroupFailure::Torn | GroupFailure::Stopped) => {}
    }
    for job in jobs {
        job.answer(failure.as_ref());
    }
}

/// Runs a group in one transaction. When this returns without an error, the group is on the disk, visible, and told to
/// the listeners.
fn commit(
    shared: &Shared,
    jobs: &mut [Box<dyn Job>],
    activity: &[SessionActivity],
) -> Result<(), GroupFailure> {
    let mut write = shared.db.begin_write().map_err(failed)?;
    write
        .set_durability(Durability::Immediate)
        .map_err(failed)?;
    // Opening after a crash then takes no walk over the whole file.
    write.set_quick_repair(shared.on_disk);
    let ran = run_jobs(shared, &write, jobs, activity);
    match ran {
        Ok(Some(written)) => {
            write.commit().map_err(failed)?;
            for (event, origin) in &written {
                shared.listeners.event(event, *origin);
            }
            Ok(())
        }
        Ok(None) => write.abort().map_err(failed),
        Err(failure) => {
            write.abort().map_err(failed)?;
            Err(failure)
        }
    }
}

/// What listeners are told of a group, if anything was written.
fn run_jobs(
    shared: &Shared,
    write: &redb::WriteTransaction,
    jobs: &mut [Box<dyn Job>],
    activity: &[SessionActivity],
) -> Result<Option<Vec<(Event, Origin)>>, GroupFailure> {
    let mut txn = Txn::open(write, shared).map_err(failed)?;
    for job in jobs {
        job.run(&mut txn).map_err(|TornJob| GroupFailure::Torn)?;
    }
    txn.begin_job();
    for touch in activity {
        let written = super::verify::write_touch(&mut txn, *touch);
        if written.is_err() && txn.job_wrote {
            return Err(GroupFailure::Torn);
        }
    }
    Ok(txn.group_wrote.then_some(txn.told))
}

fn failed(error: impl StdError + Send + Sync + 'static) -> GroupFailure {
    GroupFailure::Engine(Arc::new(error))
}
