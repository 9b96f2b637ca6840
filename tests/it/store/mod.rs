//! The stores against their contract: cases that every backend must pass to the letter, and what is told of one
//! backend alone.

/// Runs each case, an `async fn(&Backend)`, on every backend, and audits what it leaves behind.
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        contract!(in_memory: $($case),+);
        contract!(embedded: $($case),+);
        contract!(redis: $($case),+);
        contract!(redis_cluster: $($case),+);
    };
    ($backend:ident: $($case:ident),+) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let backend = crate::store::backend::Backend::$backend();
                    super::$case(&backend).await;
                    backend.close();
                }
            )+
        }
    };
}

mod backend;

mod claims;
mod ends;
mod expiry;
mod feed;
mod limits;
mod lists;
mod races;
mod repetitions;
mod services;
mod sessions;
mod touches;
mod values;

mod audit;
mod cache;
mod crash;
mod disk;
mod faults;
mod format;
mod history;
mod property;
pub(crate) mod redis;
mod reference;
