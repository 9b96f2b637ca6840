//! Passes on what the store tells its listeners. The newest are kept in one ring for all followers; who is slower than
//! that learns that something is missing.

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, Sender};

use crate::model::event::Event;
use crate::store::{Listener, Origin, Partition};

/// What the ring holds: a fifth of a second of 5,000 events a second.
const KEPT: usize = 1_024;

#[derive(Debug, Clone)]
pub(super) enum Told {
    Event(Arc<Event>),
    Gap(Partition),
}

#[derive(Debug)]
pub(super) struct Hub(Sender<Told>);

impl Hub {
    pub(super) fn new() -> Self {
        Self(Sender::new(KEPT))
    }

    /// All that is told from now on.
    pub(super) fn listen(&self) -> Receiver<Told> {
        self.0.subscribe()
    }

    fn tell(&self, told: impl FnOnce() -> Told) {
        if self.0.receiver_count() > 0 {
            // The last one may have left just now.
            drop(self.0.send(told()));
        }
    }
}

impl Listener for Hub {
    fn event(&self, event: &Event, _origin: Origin) {
        self.tell(|| Told::Event(Arc::new(event.clone())));
    }

    fn gap(&self, partition: Partition) {
        self.tell(|| Told::Gap(partition));
    }
}
