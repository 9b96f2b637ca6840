//! Takes the time of operations, and makes each a span of the request's trace. What the cache answers is no operation.

use std::sync::Arc;

use super::operations::{Operation, Operations};
use super::outcome::{HasOutcome, Outcome};
use crate::store::OperationStats;
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

    pub(super) async fn see<T, E: HasOutcome>(
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
