//! Tasks that must not be missing: one that panics begins anew.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// Before a task begins anew, so that one that panics at once does nothing but that.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs a task to its end, however often it panics before that; where, the panic hook has logged.
pub(in crate::store) async fn restarting<F>(name: &'static str, begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = AbortOnDropHandle::new(tokio::spawn(begin())).await {
        if !error.is_panic() {
            return;
        }
        tracing::error!(task = name, "a background task panicked; it begins anew");
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_begins_anew_until_it_comes_to_its_end() {
        let begun = Arc::<AtomicU32>::default();
        let begin = || {
            let begun = Arc::clone(&begun);
            async move {
                assert!(begun.fetch_add(1, Ordering::Relaxed) >= 3, "not yet");
            }
        };
        restarting("test", begin).await;
        assert_eq!(begun.load(Ordering::Relaxed), 4);
    }
}
