//! A store over any store that takes the time of its operations, and makes each a span of the request's trace.
//!
//! It stands under the cache, so what a copy answers is no operation. What answers from memory is passed on as it is.

use std::sync::Arc;

use super::{OpError, StoreError, Stores};
use crate::telemetry::traces::{Traces, within};

mod operations;
mod others;
mod sessions;

use operations::{Operation, Operations};
use others::{ObservedClaims, ObservedEvents, ObservedFigures, ObservedProfiles, ObservedServices};
use sessions::ObservedSessions;

/// The store, observed.
#[must_use]
pub fn observed(stores: Stores, traces: Traces) -> Stores {
    let observer = Observer {
        operations: Arc::default(),
        traces,
    };
    Stores {
        sessions: Arc::new(ObservedSessions::new(stores.sessions, observer.clone())),
        services: Arc::new(ObservedServices::new(stores.services, observer.clone())),
        events: Arc::new(ObservedEvents::new(stores.events, observer.clone())),
        claims: Arc::new(ObservedClaims::new(stores.claims, observer.clone())),
        profiles: Arc::new(ObservedProfiles::new(stores.profiles, observer.clone())),
        figures: Arc::new(ObservedFigures::new(stores.figures, observer)),
    }
}

/// What all of them share.
#[derive(Debug, Clone)]
struct Observer {
    operations: Arc<Operations>,
    traces: Traces,
}

impl Observer {
    /// Runs an operation under its eyes.
    async fn see<T, E: Ending>(
        &self,
        operation: Operation,
        run: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut timed = self.operations.begin(operation);
        let span = self.traces.operation(operation.as_str());
        let result = within(span.as_ref(), run).await;
        let outcome = match &result {
            Ok(_) => Outcome::Done,
            Err(error) => error.outcome(),
        };
        timed.end(outcome);
        if let Some(span) = span {
            span.end(outcome == Outcome::Failed);
        }
        result
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It was done.
    Done,
    /// A fact stood against it.
    Refused,
    /// Nobody knows.
    Failed,
    /// Nobody waited for its end.
    Abandoned,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Done, Self::Refused, Self::Failed, Self::Abandoned];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// How an operation ends with this error.
trait Ending {
    fn outcome(&self) -> Outcome;
}

impl Ending for StoreError {
    fn outcome(&self) -> Outcome {
        Outcome::Failed
    }
}

impl Ending for OpError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(_) => Outcome::Refused,
            Self::Store(_) => Outcome::Failed,
        }
    }
}
