//! The listeners of a store.

use std::sync::{Arc, PoisonError, RwLock};

use crate::model::event::Event;
use crate::store::{Listener, Origin, Partition};

#[derive(Debug, Default)]
pub(in crate::store) struct Listeners(RwLock<Vec<Arc<dyn Listener>>>);

impl Listeners {
    pub(in crate::store) fn add(&self, listener: Arc<dyn Listener>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.push(listener);
    }

    pub(in crate::store) fn event(&self, event: &Event, origin: Origin) {
        self.each(|listener| listener.event(event, origin));
    }

    pub(in crate::store) fn gap(&self, partition: Partition) {
        self.each(|listener| listener.gap(partition));
    }

    fn each(&self, tell: impl Fn(&dyn Listener)) {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().for_each(|listener| tell(&**listener));
    }
}
