//! Reads. What panics below one is an error of that read, and one that only met the engine while it was opened again is
//! made once more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{DEADLINE, EmbeddedStore, Shared, unavailable};
use crate::store::StoreError;
use crate::telemetry::panics::contain;

/// How long a read waits for the engine to be open again, and between two looks.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

impl EmbeddedStore {
    /// Runs a read of few records.
    pub(super) async fn look<T>(
        &self,
        read: impl Fn(&Shared) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let engine = &self.shared.engine;
        let until = Instant::now() + PATIENCE;
        loop {
            let openings = engine.openings();
            let outcome = contained(|| read(&self.shared));
            let again = outcome.is_err() && engine.opens_again_since(openings);
            if !again || Instant::now() > until {
                return outcome;
            }
            sleep(PAUSE).await;
        }
    }

    /// Runs a read of many records where it holds up nobody else.
    pub(super) async fn scan<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let scans = Arc::clone(&self.scans);
        let scan = async move {
            // The permit goes into the read, which outlives a caller who stops waiting.
            let permit = scans.acquire_owned().await.map_err(unavailable)?;
            let read = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                contained(|| read(&shared))
            });
            read.await.map_err(unavailable)?
        };
        match timeout(DEADLINE, scan).await {
            Ok(result) => result,
            Err(_elapsed) => Err(StoreError::TimedOut),
        }
    }
}

fn contained<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    contain(read).unwrap_or_else(|panic| Err(unavailable(panic)))
}
