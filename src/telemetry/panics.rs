//! Panics are bugs: each is counted, and told without what it carries, because its message may hold anything.

use std::sync::atomic::{AtomicU64, Ordering};

/// Panics of the process: the hook is one for all of it.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Logs every panic by its place. Of its message only text that stands in the source is told.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload().downcast_ref::<&'static str>();
        tracing::error!(
            place = place.as_deref().unwrap_or("unknown"),
            message = message.copied().unwrap_or("withheld"),
            "a task panicked"
        );
    }));
}

/// How many there were since the hook was installed.
pub(super) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
