//! Tells the server on which of its connections a service has proved itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::Extensions;

/// Whether a service has proved itself on a connection. The server puts it beside a request, as long as it is not given.
#[derive(Debug, Clone, Default)]
pub struct Proof(Arc<AtomicBool>);

impl Proof {
    /// Whether it has.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// It has, with the request that this stands beside.
    pub(in crate::http) fn give(extensions: &Extensions) {
        if let Some(Self(given)) = extensions.get() {
            given.store(true, Ordering::Relaxed);
        }
    }
}
