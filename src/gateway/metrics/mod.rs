//! What is told at `/metrics` of the store and of what happens to sessions.

use std::sync::Arc;

use crate::store::Stores;
use crate::telemetry::metrics::Metrics;

mod outcomes;
mod session_counts;
mod store;

use outcomes::Outcomes;
use session_counts::SessionGauges;
use store::StoreMetrics;

/// The metrics of the node that uses this store, counted from here on.
#[must_use]
pub(crate) fn of(stores: &Stores) -> Metrics {
    let outcomes = Arc::<Outcomes>::default();
    stores.events.listen(Arc::<Outcomes>::clone(&outcomes));
    Metrics::new(vec![
        Box::new(SessionGauges::of(stores.stats.clone())),
        Box::new(outcomes),
        Box::new(StoreMetrics {
            feed: stores.events.clone(),
            stats: stores.stats.clone(),
        }),
    ])
}
