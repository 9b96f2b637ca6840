//! Waiting for Redis, and not for ourselves.
//!
//! On a busy machine our own runtime can be held up. Its timers are late then, and for so long nobody has handed a
//! request to its socket, nor looked whether the answer is there: such time tells nothing of Redis, and does not count.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// Parts of a wait, each of which counts if its timer was in time.
const SLICES: u32 = 4;

/// A timer has a grain of 1 ms; one that is later than this was held up.
const LATE: Duration = Duration::from_millis(5);

/// The most that does not count, lest a machine that is always busy waits for ever.
const MOST_LOST: Duration = Duration::from_millis(500);

/// There was no answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elapsed {
    /// Whether our own runtime was held up all the while: then it may be nobody's fault but ours.
    pub(super) starved: bool,
}

/// What comes of it within a limit. Time in which our runtime was held up is not counted.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    let (mut left, mut lost, mut starved) = (SLICES, Duration::ZERO, false);
    while left > 0 {
        let due = Instant::now() + limit / SLICES;
        if let Ok(done) = timeout_at(due, work.as_mut()).await {
            return Ok(done);
        }
        let late = due.elapsed();
        if late > LATE && lost < MOST_LOST {
            lost += limit / SLICES + late;
        } else {
            left -= 1;
            starved |= late > LATE;
        }
    }
    // Sockets are looked at before who yielded goes on: what has arrived is still taken.
    yield_now().await;
    match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err(Elapsed { starved }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_is_not_held_up_waits_exactly_so_long() {
        let start = Instant::now();
        let nothing = within(LIMIT, std::future::pending::<()>()).await;
        assert_eq!(nothing, Err(Elapsed { starved: false }));
        assert!(
            (LIMIT..=LIMIT * 2).contains(&start.elapsed()),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(within(LIMIT, async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn what_our_own_runtime_held_up_is_still_waited_for() {
        let held_up = async {
            std::thread::sleep(2 * LIMIT);
            tokio::time::sleep(LIMIT / 5).await;
        };
        assert_eq!(within(LIMIT, held_up).await, Ok(()));
    }

    #[tokio::test]
    async fn a_runtime_that_is_always_held_up_gives_up_and_blames_nobody_else() {
        let always = async {
            loop {
                std::thread::sleep(LIMIT / 2);
                yield_now().await;
            }
        };
        let start = Instant::now();
        assert_eq!(
            within::<()>(LIMIT, always).await,
            Err(Elapsed { starved: true })
        );
        assert!(start.elapsed() < MOST_LOST * 4, "{:?}", start.elapsed());
    }
}
