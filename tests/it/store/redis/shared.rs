//! Redis in each topology, started once a process and shared by all cases of the contract.
//!
//! The gateway is the user that ships there, so whatever the contract asks of the store, it may do no more than that
//! user: no `KEYS`, no `SCAN`, no sets, no channel but its own.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::support::redis::{ServerOptions, Topology};

/// Starts the prefix of every case.
pub(crate) const PREFIX: &str = "sgw-test-";

/// Servers that know the user that ships, with the keys of tests.
pub(crate) fn options() -> ServerOptions {
    let mut options = ServerOptions::default().with_shipped_user();
    options.users = options.users.map(|users| users.replace("sgw:", PREFIX));
    options
}

pub(crate) async fn standalone() -> Arc<Topology> {
    static STARTED: OnceCell<Arc<Topology>> = OnceCell::const_new();
    let start = || async { Arc::new(Topology::standalone(&options()).await) };
    Arc::clone(STARTED.get_or_init(start).await)
}

pub(crate) async fn sentinel() -> Arc<Topology> {
    static STARTED: OnceCell<Arc<Topology>> = OnceCell::const_new();
    let start = || async {
        let started = Topology::sentinel(&options()).await;
        started.never_fail_over().await;
        Arc::new(started)
    };
    Arc::clone(STARTED.get_or_init(start).await)
}

pub(crate) async fn cluster() -> Arc<Topology> {
    static STARTED: OnceCell<Arc<Topology>> = OnceCell::const_new();
    let start = || async {
        let started = Topology::cluster(&options()).await;
        started.never_fail_over().await;
        Arc::new(started)
    };
    Arc::clone(STARTED.get_or_init(start).await)
}
