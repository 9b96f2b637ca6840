//! Group commit: one thread writes. It takes all jobs that wait, runs them in one transaction, makes it durable, and
//! only then answers them. After a commit that failed nobody knows what the disk holds, so nothing is written again;
//! only where it was for want of room it is known, and all goes on when there is room.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::group::Round;
use super::job::{Job, Task};
use super::room::{Purpose, Shortage};
use super::txn::Txn;
use super::wall_clock::StepLog;
use super::{DEADLINE, Shared};
use crate::model::Timestamp;
use crate::store::{OpError, StoreError};

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
    Run(Purpose, Box<dyn Job>),
    Close,
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
    pub(super) async fn operate<T, F>(&self, purpose: Purpose, work: F) -> Result<T, OpError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, OpError> + Send + 'static,
    {
        let work = |txn: &mut Txn<'_>| match work(txn) {
            Ok(done) => Ok(Ok(done)),
            Err(OpError::Refused(refusal)) => Ok(Err(refusal)),
            Err(OpError::Store(error)) => Err(error),
        };
        Ok(self.write(purpose, work).await??)
    }

    /// Runs `work` in the next group and answers when it is durable. If the caller stops waiting before the work has
    /// begun, it is left out.
    pub(super) async fn write<T, F>(&self, purpose: Purpose, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (task, answer) = Task::of(work);
        match self.queue.try_send(Message::Run(purpose, Box::new(task))) {
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
    let mut shortage = Shortage::default();
    loop {
        let mut open = true;
        let mut round = Round::default();
        match queue.recv_timeout(wait) {
            Ok(Message::Run(purpose, job)) => {
                round.jobs.push((purpose, job));
                while round.jobs.len() < GROUP {
                    match queue.try_recv() {
                        Ok(Message::Run(purpose, job)) => round.jobs.push((purpose, job)),
                        Ok(Message::Close) => open = false,
                        Err(_) => break,
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => open = false,
        }
        step_log.look(&*shared.clock);
        round.activity = shared.activity.due(shared.now(), TOUCHES);
        let touches = round.activity.len();
        round.write(shared, &mut shortage);
        if !open {
            return close(shared, &mut shortage);
        }
        wait = if touches < TOUCHES || shared.writes_stopped() || shared.engine.volume().is_full() {
            TOUCH_PERIOD
        } else {
            Duration::ZERO
        };
    }
}

/// Writes the uses that wait. The engine tidies up its file when it is closed, for which it may spend the reserve.
fn close(shared: &Shared, shortage: &mut Shortage) {
    let end_of_time = Timestamp::from_millis(i64::MAX);
    loop {
        let activity = shared.activity.due(end_of_time, TOUCHES);
        let tries = shortage.tries(Purpose::Release, shared.engine.volume());
        if activity.is_empty() || shared.writes_stopped() || !tries {
            break;
        }
        let round = Round {
            activity,
            ..Round::default()
        };
        round.write(shared, shortage);
    }
    shared.engine.volume().spend_reserve(true);
}
