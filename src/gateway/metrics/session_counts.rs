//! How many sessions live. The store counts them when somebody asks, and not too often: counting looks at every session.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex as Turn;
use tokio::time::{Instant, timeout};

use crate::store::node::Handle;
use crate::store::{SessionCounts, StoreStats};
use crate::telemetry::metrics::{Family, Kind, MetricSource, Page};

/// A count serves for this long.
const SHORTEST: Duration = Duration::from_secs(5);

/// And for this many times as long as it took, so that the store has 98 % of its time for others.
const REST: u32 = 49;

/// How long anybody waits for a count; it goes on without them.
const PATIENCE: Duration = Duration::from_secs(2);

const TOTAL: Family = Family {
    name: "session_total",
    kind: Kind::Untyped,
    help: "Sessions that live, in whatever state, on all nodes together: every node tells the same. Goes up and down.",
};
const ACTIVE: Family = Family {
    name: "session_active",
    kind: Kind::Gauge,
    help: "Sessions that show as active, on all nodes together: every node tells the same.",
};
const IDLE: Family = Family {
    name: "session_idle",
    kind: Kind::Gauge,
    help: "Sessions that show as idle, on all nodes together: every node tells the same.",
};
const AGE: Family = Family {
    name: "sgw_census_age_seconds",
    kind: Kind::Gauge,
    help: "How long ago sessions were counted for session_total, session_active and session_idle.",
};

/// A count, and how fresh it is.
#[derive(Debug, Clone, Copy)]
struct Counted {
    session_counts: SessionCounts,
    begun: Instant,
    took: Duration,
}

impl Counted {
    fn is_fresh(&self) -> bool {
        self.begun.elapsed() < SHORTEST.max(self.took * REST)
    }
}

#[derive(Debug)]
struct Counts {
    store: Handle<dyn StoreStats>,
    last: Mutex<Option<Counted>>,
    turn: Turn<()>,
}

/// The last count. While the store does not count there is none.
#[derive(Debug)]
pub(super) struct SessionGauges(Arc<Counts>);

impl SessionGauges {
    pub(super) fn of(store: Handle<dyn StoreStats>) -> Self {
        Self(Arc::new(Counts {
            store,
            last: Mutex::default(),
            turn: Turn::default(),
        }))
    }
}

#[async_trait]
impl MetricSource for SessionGauges {
    async fn write(&self, page: &mut Page) {
        let Self(counts) = self;
        if !counts.last().is_some_and(|last| last.is_fresh()) {
            let counting = tokio::spawn(Arc::clone(counts).count());
            // Whoever does not wait to the end gets the count before.
            drop(timeout(PATIENCE, counting).await);
        }
        if let Some(Counted {
            session_counts,
            begun,
            ..
        }) = counts.last()
        {
            page.sample(&TOTAL, &[], session_counts.live);
            page.sample(&ACTIVE, &[], session_counts.active);
            page.sample(&IDLE, &[], session_counts.idle);
            page.sample(&AGE, &[], begun.elapsed().as_secs_f64());
        }
    }
}

impl Counts {
    fn last(&self) -> Option<Counted> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One counts at a time; who comes meanwhile waits for that count.
    async fn count(self: Arc<Self>) {
        let _turn = self.turn.lock().await;
        if self.last().is_some_and(|last| last.is_fresh()) {
            return;
        }
        let begun = Instant::now();
        let counted = self
            .store
            .session_counts()
            .await
            .map(|session_counts| Counted {
                session_counts,
                begun,
                took: begun.elapsed(),
            });
        if let Err(error) = &counted {
            tracing::debug!(%error, "sessions could not be counted");
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = counted.ok();
    }
}
