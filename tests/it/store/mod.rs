//! The stores against their contract: cases that every backend must pass to the letter, and what is told of one
//! backend alone.

/// Runs each case, an `async fn(&Backend)`, on every backend, and audits what it leaves behind.
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        contract!(in_memory = Backend::in_memory(); $($case),+);
        contract!(embedded = Backend::embedded(); $($case),+);
        contract!(redis_standalone = Backend::redis_standalone().await; $($case),+);
        contract!(redis_sentinel = Backend::redis_sentinel().await; $($case),+);
        contract!(redis_cluster = Backend::redis_cluster().await; $($case),+);
    };
    ($name:ident = $backend:expr; $($case:ident),+) => {
        mod $name {
            use crate::store::backend::Backend;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let backend = $backend;
                    super::$case(&backend).await;
                    backend.close().await;
                }
            )+
        }
    };
}

mod backend;

mod bans;
mod bulk;
pub(crate) mod endings;
mod ends;
mod expiry;
mod feed;
mod follow;
mod idempotency;
mod keyring;
mod limits;
pub(crate) mod listeners;
mod lists;
mod profiles;
mod races;
mod repetitions;
mod rotation;
mod rotation_races;
mod services;
mod sessions;
mod stats;
mod throttles;
mod touches;
mod values;

mod audit;
mod cache;
mod clock;
mod crash;
mod disk;
mod faults;
mod format;
mod history;
mod property;
pub(crate) mod redis;
mod reference;
mod registrations;
