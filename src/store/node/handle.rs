//! A store as a node uses it.

use std::fmt::{self, Debug};
use std::sync::Arc;

use super::cache::Cache;
use super::observer::Observer;
use super::operations::Operation;
use super::outcome::HasOutcome;

/// One contract of an engine, as a node uses it: `through` says what of the engine can be reached.
pub struct Handle<S: ?Sized> {
    engine: Arc<S>,
    pub(super) observer: Option<Observer>,
    pub(super) cache: Option<Arc<Cache>>,
}

impl<S: ?Sized> Handle<S> {
    /// This engine, neither observed nor cached.
    #[must_use]
    pub fn new(engine: Arc<S>) -> Self {
        Self {
            engine,
            observer: None,
            cache: None,
        }
    }

    /// The engine itself, for one that stands in front of it.
    #[must_use]
    pub fn into_engine(self) -> Arc<S> {
        self.engine
    }

    pub(in crate::store) fn engine(&self) -> &Arc<S> {
        &self.engine
    }

    pub(in crate::store) fn observed(self, observer: &Observer) -> Self {
        Self {
            observer: Some(observer.clone()),
            ..self
        }
    }

    pub(in crate::store) fn cached(self, cache: &Arc<Cache>) -> Self {
        Self {
            cache: Some(Arc::clone(cache)),
            ..self
        }
    }

    /// Runs an operation, under the eyes of the observer if there is one.
    pub(super) async fn timed<T, E: HasOutcome>(
        &self,
        operation: Operation,
        run: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match &self.observer {
            Some(observer) => observer.see(operation, run).await,
            None => run.await,
        }
    }

    /// Whatever came of a write, what was known before it is not known any more.
    pub(super) fn invalidate(&self, forget: impl FnOnce(&Cache)) {
        if let Some(cache) = &self.cache {
            forget(cache);
        }
    }
}

impl<S: ?Sized> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            observer: self.observer.clone(),
            cache: self.cache.clone(),
        }
    }
}

impl<S: ?Sized + Debug> Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&&*self.engine).finish()
    }
}
