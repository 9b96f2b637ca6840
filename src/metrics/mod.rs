//! What is told at `/metrics`, for Prometheus.
//!
//! Counters are those of this node since its start; the sum over the nodes is what was done. Numbers of sessions that
//! live are facts of the store, and the same on every node. No label has a value that users or services choose.

use std::sync::Arc;

use crate::store::node::Handle;
use crate::store::{EventFeed, StoreStats, Stores};

mod outcomes;
mod page;
mod process;
mod requests;
mod session_counts;
mod store;

pub use requests::{Requests, RouteRequests};

use outcomes::Outcomes;
use page::Page;
use session_counts::Counts;

/// The type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a node.
#[derive(Debug)]
pub struct Metrics {
    /// Requests, as the middleware counts them.
    pub requests: Arc<Requests>,
    outcomes: Arc<Outcomes>,
    counts: Arc<Counts>,
    feed: Handle<dyn EventFeed>,
    stats: Handle<dyn StoreStats>,
}

impl Metrics {
    /// Of the node that uses this store, from now on.
    #[must_use]
    pub fn of(stores: &Stores) -> Self {
        let outcomes = Arc::<Outcomes>::default();
        stores.events.listen(Arc::<Outcomes>::clone(&outcomes));
        Self {
            requests: Arc::default(),
            outcomes,
            counts: Counts::of(stores.stats.clone()),
            feed: stores.events.clone(),
            stats: stores.stats.clone(),
        }
    }

    /// All of it, as text of the type [`CONTENT_TYPE`].
    pub async fn text(&self) -> String {
        let mut page = Page::default();
        self.counts.write(&mut page).await;
        self.outcomes.write(&mut page);
        self.requests.write(&mut page);
        store::write(&self.stats.stats(), &mut page);
        store::write_feed(&self.feed, &mut page);
        process::write(&mut page);
        page.into_text()
    }
}
