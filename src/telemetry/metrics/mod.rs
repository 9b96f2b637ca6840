//! What is told at `/metrics`, for Prometheus.
//!
//! Counters are those of this node since its start; the sum over the nodes is what was done. Numbers of sessions that
//! live are facts of the store, and the same on every node. No label has a value that users or services choose.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

mod page;
mod process;
mod requests;

pub(crate) use page::{Family, Kind, Page};
pub use requests::{Requests, RouteRequests};

/// The type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Some metrics of a node, written by whoever knows them.
#[async_trait]
pub(crate) trait MetricSource: Debug + Send + Sync {
    /// Writes them as they stand at this moment.
    async fn write(&self, page: &mut Page);
}

/// All metrics of a node.
#[derive(Debug)]
pub struct Metrics {
    /// Requests, as the middleware counts them.
    pub requests: Arc<Requests>,
    sources: Vec<Box<dyn MetricSource>>,
}

impl Metrics {
    pub(crate) fn new(sources: Vec<Box<dyn MetricSource>>) -> Self {
        Self {
            requests: Arc::default(),
            sources,
        }
    }

    /// All of it, as text of the type [`CONTENT_TYPE`].
    pub async fn text(&self) -> String {
        let mut page = Page::default();
        for source in &self.sources {
            source.write(&mut page).await;
        }
        self.requests.write(&mut page);
        process::write(&mut page);
        page.into_text()
    }
}
