//! What may be done again is done again when a hiccup of Redis broke it off: a pause, a lost answer, a failover.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::call::Call;
use super::client::Client;
use super::connections::{Slot, may_pass};
use crate::store::StoreError;

/// How long a hiccup may last. A failover takes no longer, once it is noticed.
const LASTS: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// The time in which something is tried again.
#[derive(Debug)]
pub(super) struct Hiccup {
    over: Instant,
}

impl Hiccup {
    pub(super) fn begin() -> Self {
        Self {
            over: Instant::now() + LASTS,
        }
    }

    /// Waits before another attempt; gives the error back if there is to be none.
    pub(super) async fn wait(&self, error: StoreError) -> Result<(), StoreError> {
        if Instant::now() >= self.over || !may_pass(&error) {
            return Err(error);
        }
        sleep(PAUSE).await;
        Ok(())
    }
}

/// Whether something may have been done before, with an answer that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    Again,
}

impl Client {
    /// Makes a call through a hiccup.
    pub(super) async fn call_through<C>(
        &self,
        slot: Slot,
        call: impl Fn(Attempt) -> C + Send + Sync,
    ) -> Result<C::Answer, StoreError>
    where
        C: Call<Answer: Send> + Send,
    {
        let hiccup = Hiccup::begin();
        let mut attempt = Attempt::First;
        loop {
            match self.call(slot, &call(attempt)).await {
                Err(error) => hiccup.wait(error).await?,
                answer => return answer,
            }
            attempt = Attempt::Again;
        }
    }
}
