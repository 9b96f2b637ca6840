//! Panics: one that nobody expects is counted and told in the log, one that is contained whoever contained it tells.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// Panics of the process that were not contained: the hook is one for all of it.
static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What is contained on this thread has panicked with, while something is.
    static CONTAINED: RefCell<Option<Contained>> = const { RefCell::new(None) };
}

/// Code that is not ours panicked, as on data that it did not expect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it panicked at {place}: {message}")]
pub struct Contained {
    place: String,
    message: &'static str,
}

impl Contained {
    fn unknown() -> Self {
        Self {
            place: "a place that is not known".to_owned(),
            message: "withheld",
        }
    }

    /// Of the message of a panic, which may hold anything, only text that stands in the source is told.
    fn of(panic: &PanicHookInfo<'_>) -> Self {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload().downcast_ref::<&'static str>();
        let unknown = Self::unknown();
        Self {
            place: place.unwrap_or(unknown.place),
            message: message.copied().unwrap_or(unknown.message),
        }
    }
}

/// Runs what may panic, and makes an error of it. What it worked on may be left half done: nobody may trust it to be
/// more than that.
pub fn contain<T>(run: impl FnOnce() -> T) -> Result<T, Contained> {
    let outer = CONTAINED.replace(Some(Contained::unknown()));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    let panicked = CONTAINED.replace(outer);
    outcome.map_err(|payload: Box<dyn Any + Send>| {
        drop(payload);
        panicked.unwrap_or_else(Contained::unknown)
    })
}

/// Logs every panic that is not contained, by its place.
pub fn install_hook() {
    set_hook(Box::new(|panic| {
        let told = Contained::of(panic);
        let contained = CONTAINED.try_with(|contained| {
            let mut contained = contained.borrow_mut();
            contained.as_mut().map(|held| *held = told.clone())
        });
        if !matches!(contained, Ok(Some(()))) {
            COUNT.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                place = told.place,
                message = told.message,
                "a task panicked"
            );
        }
    }));
}

/// How many were not contained since the hook was installed.
pub(super) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_what_is_around_it_goes_on() {
        let outer = contain(|| {
            let inner = contain(|| panic!("the inner one"));
            assert!(inner.is_err());
            7
        });
        assert_eq!(outer, Ok(7));
        assert_eq!(contain(|| 8), Ok(8));
    }
}
