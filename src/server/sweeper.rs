//! The task that ends what is over by age, so that its event is in the feed in time even if nobody asks.

use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::store::StoreError;
use crate::telemetry::log::with_causes;

/// Between two steps while more is due: sweeping leaves most of the store's time to requests.
const PACE: Duration = Duration::from_millis(10);

/// After this long a step counts as failed.
const STEP_DEADLINE: Duration = Duration::from_secs(30);

/// The longest pause after failures.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

#[derive(Debug, Error)]
enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a step panicked or was aborted")]
    Died(#[from] tokio::task::JoinError),
    #[error("a step did not end within {} seconds", STEP_DEADLINE.as_secs())]
    TimedOut(#[from] tokio::time::error::Elapsed),
}

/// Takes a sweeping step every `interval`, and at once again while more is due, until `stop`. Failures, panics
/// included, are logged once and tried again ever more slowly.
pub async fn sweep_until<S>(stop: CancellationToken, interval: Duration, sweep: impl Fn() -> S)
where
    S: Future<Output = Result<bool, StoreError>> + Send + 'static,
{
    let mut failures = 0_u32;
    loop {
        let pause = match step(sweep()).await {
            Ok(more_is_due) => {
                if failures > 0 {
                    tracing::info!("sweeping works again");
                }
                failures = 0;
                if more_is_due { PACE } else { interval }
            }
            Err(error) => {
                if failures == 0 {
                    tracing::error!(error = with_causes(&error), "sweeping failed; trying on");
                }
                failures = failures.saturating_add(1);
                backoff(interval, failures)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn backoff(interval: Duration, failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.min(16));
    interval
        .saturating_mul(factor)
        .min(MAX_BACKOFF.max(interval))
}

/// In a task of its own, which may panic without taking the sweeper with it.
async fn step<S>(sweep: S) -> Result<bool, StepError>
where
    S: Future<Output = Result<bool, StoreError>> + Send + 'static,
{
    let step = AbortOnDropHandle::new(tokio::spawn(sweep));
    Ok(tokio::time::timeout(STEP_DEADLINE, step).await???)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_up_to_a_minute() {
        let interval = Duration::from_secs(5);
        assert_eq!(backoff(interval, 1), Duration::from_secs(10));
        assert_eq!(backoff(interval, 2), Duration::from_secs(20));
        assert_eq!(backoff(interval, 99), MAX_BACKOFF);
        let hour = Duration::from_secs(3600);
        assert_eq!(backoff(hour, 1), hour);
    }
}
