//! Tells the other nodes which sources are slowed down: at once, and then once a second at most.

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::store::ThrottleStore;
use crate::store::node::Handle;
use crate::telemetry::log::with_causes;
use crate::telemetry::log_limit::LogLimit;

/// Networks that may wait; more are told when they fail again.
const MOST: usize = 10_000;

/// Between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be told, and to whom.
#[derive(Debug)]
pub(super) struct Teller {
    store: Handle<dyn ThrottleStore>,
    state: Mutex<State>,
    log: LogLimit<()>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<IpAddr, Duration>,
    is_telling: bool,
}

impl Teller {
    pub(super) fn new(store: Handle<dyn ThrottleStore>) -> Self {
        Self {
            store,
            state: Mutex::default(),
            log: LogLimit::default(),
        }
    }

    /// For how much longer a network is slowed down, as the nodes have told.
    pub(super) fn store(&self) -> &Handle<dyn ThrottleStore> {
        &self.store
    }

    /// A network is slowed down from now on for so long. If it is told at once, this waits until it is, so that what was
    /// answered holds though the node be killed.
    pub(super) async fn tell(self: &Arc<Self>, network: IpAddr, length: Duration) {
        if !self.put(network, length) {
            let (done, told) = oneshot::channel();
            tokio::spawn(Arc::clone(self).tell_all(done));
            // Whatever came of it: a failure is logged there.
            drop(told.await);
        }
    }

    /// Puts a network to those that wait; says whether they are being told.
    fn put(&self, network: IpAddr, length: Duration) -> bool {
        let mut state = self.lock();
        if state.waiting.len() < MOST {
            state.waiting.insert(network, length);
        }
        mem::replace(&mut state.is_telling, true)
    }

    async fn tell_all(self: Arc<Self>, first: oneshot::Sender<()>) {
        let mut first = Some(first);
        while let Some(networks) = self.next() {
            let told = self.store.throttle(&networks).await;
            // Who goes on failing is slowed down again, for longer, and told of then.
            if let Err(error) = told
                && self.log.allows(&())
            {
                tracing::warn!(
                    error = with_causes(&error),
                    networks = networks.len(),
                    "other nodes are not told whom this one slows down"
                );
            }
            drop(first.take());
            sleep(PAUSE).await;
        }
    }

    fn next(&self) -> Option<Vec<(IpAddr, Duration)>> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.is_telling = false;
            return None;
        }
        Some(state.waiting.drain().collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
