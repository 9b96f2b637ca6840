//! What is told at `/metrics` of the store and of what happens to sessions.

use std::sync::Arc;

use crate::gateway::Gateway;
use crate::telemetry::metrics::Metrics;

mod outcomes;
mod refusals;
mod session_counts;
mod store;

use outcomes::Outcomes;
use session_counts::SessionGauges;
use store::StoreMetrics;

/// The metrics of this node, counted from here on.
#[must_use]
pub(crate) fn of(gateway: &Gateway) -> Metrics {
    let stores = &gateway.stores;
    let outcomes = Arc::<Outcomes>::default();
    stores.events.listen(Arc::<Outcomes>::clone(&outcomes));
    Metrics::new(vec![
        Box::new(SessionGauges::of(stores.stats.clone())),
        Box::new(outcomes),
        Box::new(Arc::clone(&gateway.authenticator)),
        Box::new(StoreMetrics {
            feed: stores.events.clone(),
            stats: stores.stats.clone(),
        }),
    ])
}
