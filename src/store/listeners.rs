//! The listeners of a store.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Listener, Origin, Part};
use crate::model::event::Event;

/// All who want to be told of changes.
#[derive(Debug, Default)]
pub(super) struct Listeners(RwLock<Vec<Arc<dyn Listener>>>);

impl Listeners {
    pub(super) fn add(&self, listener: Arc<dyn Listener>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.push(listener);
    }

    pub(super) fn event(&self, event: &Event, origin: Origin) {
        self.each(|listener| listener.event(event, origin));
    }

    pub(super) fn gap(&self, part: Part) {
        self.each(|listener| listener.gap(part));
    }

    fn each(&self, tell: impl Fn(&dyn Listener)) {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().for_each(|listener| tell(&**listener));
    }
}
