//! Takes the time of operations, and makes each a span of the request's trace. What the cache answers is no operation.

use std::sync::Arc;

use super::operations::{Operation, Operations};
use crate::store::{OpError, OperationStats, StoreError};
use crate::telemetry::traces::{Traces, within};

/// What all handles of a node share.
#[derive(Debug, Clone)]
pub(in crate::store) struct Observer {
    operations: Arc<Operations>,
    traces: Traces,
}

impl Observer {
    pub(in crate::store) fn new(traces: Traces) -> Self {
        Self {
            operations: Arc::default(),
            traces,
        }
    }

    pub(super) fn stats(&self) -> Vec<OperationStats> {
        self.operations.stats()
    }

    /// Runs an operation under its eyes.
    pub(super) async fn see<T, E: Ending>(
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
pub(super) enum Outcome {
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
    pub(super) const ALL: [Self; 4] = [Self::Done, Self::Refused, Self::Failed, Self::Abandoned];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// How an operation ends with this error.
pub(super) trait Ending {
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
