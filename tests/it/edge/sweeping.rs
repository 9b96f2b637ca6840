use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_gateway::server::sweep_until;
use session_gateway::store::StoreError;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::server::patiently;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);

/// Counts the steps of a sweeper, each of which ends as `outcome` says by its number.
struct Sweeper {
    steps: Arc<Semaphore>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Sweeper {
    fn start<F>(interval: Duration, outcome: F) -> Self
    where
        F: Fn(usize) -> Result<bool, StoreError> + Copy + Send + 'static,
    {
        let steps = Arc::new(Semaphore::new(0));
        let stop = CancellationToken::new();
        let (permits, number) = (Arc::clone(&steps), AtomicUsize::new(0));
        let sweep = move || {
            let (permits, number) = (Arc::clone(&permits), number.fetch_add(1, Ordering::SeqCst));
            async move {
                permits.add_permits(1);
                outcome(number)
            }
        };
        let told = stop.clone();
        let task = tokio::spawn(async move { sweep_until(told, interval, sweep).await });
        Self { steps, stop, task }
    }

    async fn takes(&self, steps: u32) {
        patiently(self.steps.acquire_many(steps))
            .await
            .unwrap()
            .forget();
    }
}

#[tokio::test]
async fn while_more_is_due_the_interval_is_not_waited_for() {
    let sweeper = Sweeper::start(LONG, |number| Ok(number < 4));
    sweeper.takes(5).await;
}

#[tokio::test]
async fn a_failed_step_and_a_panic_are_not_the_last() {
    let sweeper = Sweeper::start(SHORT, |number| match number {
        0 => Err(StoreError::TimedOut),
        1 => panic!("a bug"),
        _ => Ok(false),
    });
    sweeper.takes(5).await;
}

#[tokio::test]
async fn it_stops_when_told() {
    let sweeper = Sweeper::start(LONG, |_| Ok(false));
    sweeper.takes(1).await;
    sweeper.stop.cancel();
    patiently(sweeper.task).await.unwrap();
}
