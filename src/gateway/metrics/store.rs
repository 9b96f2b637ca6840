//! The store as this node sees it: its operations, its servers, the copies, the feed.

use async_trait::async_trait;
use tokio::time::Instant;

use crate::store::node::Handle;
use crate::store::{Breaker, CacheStats, EventFeed, MasterStats, Stats, StoreStats};
use crate::telemetry::metrics::{Family, Kind, MetricSource, Page};

const OPERATION: Family = Family {
    name: "sgw_store_operation_duration_seconds",
    kind: Kind::Histogram,
    help: "How long operations of the store took. Outcomes: done, refused by a fact, failed, abandoned by who asked.",
};
const USES: Family = Family {
    name: "sgw_session_uses_waiting",
    kind: Kind::Gauge,
    help: "Uses of sessions that are counted and still to be written to the store.",
};
const BREAKER: Family = Family {
    name: "sgw_redis_breaker_state",
    kind: Kind::Gauge,
    help: "1 for the state in which the breaker of a master is: closed, connecting, or open when requests fail at once.",
};
const CONNECTIONS: Family = Family {
    name: "sgw_redis_connections",
    kind: Kind::Gauge,
    help: "Open connections to a master, which all requests share.",
};
const REQUESTS: Family = Family {
    name: "sgw_redis_requests",
    kind: Kind::Gauge,
    help: "Requests to a master that are under way or wait for their turn.",
};
const REQUEST_LIMIT: Family = Family {
    name: "sgw_redis_request_limit",
    kind: Kind::Gauge,
    help: "Requests that may be under way at a master at once, as it answers at present; others wait for their turn.",
};
const SHED: Family = Family {
    name: "sgw_redis_requests_shed_total",
    kind: Kind::Counter,
    help: "Requests to a master that were refused (503 overloaded), as more waited than it answers in time.",
};
const HITS: Family = Family {
    name: "sgw_cache_hits_total",
    kind: Kind::Counter,
    help: "Questions about a session or a service that a copy answered.",
};
const MISSES: Family = Family {
    name: "sgw_cache_misses_total",
    kind: Kind::Counter,
    help: "Questions about a session or a service that no copy could answer, and went to the store.",
};
const ENTRIES: Family = Family {
    name: "sgw_cache_entries",
    kind: Kind::Gauge,
    help: "Copies that are kept.",
};
const BYTES: Family = Family {
    name: "sgw_cache_bytes",
    kind: Kind::Gauge,
    help: "Memory that copies of sessions take, as it is reckoned.",
};
const MAX_BYTES: Family = Family {
    name: "sgw_cache_max_bytes",
    kind: Kind::Gauge,
    help: "Memory that copies of sessions may take (SGW_CACHE_MAX_BYTES).",
};
const LAG: Family = Family {
    name: "sgw_feed_lag_seconds",
    kind: Kind::Gauge,
    help: "How long ago it was proven last that every change was heard of, in the part of the feed where that is longest; the age of the proof on which copies are used.",
};
const UNHEARD: Family = Family {
    name: "sgw_feed_unheard_parts",
    kind: Kind::Gauge,
    help: "Parts of the feed, of 257, of which nothing is proven at present; their copies are not used.",
};

#[derive(Debug)]
pub(super) struct StoreMetrics {
    pub(super) feed: Handle<dyn EventFeed>,
    pub(super) stats: Handle<dyn StoreStats>,
}

#[async_trait]
impl MetricSource for StoreMetrics {
    async fn write(&self, page: &mut Page) {
        write_stats(&self.stats.stats(), page);
        write_feed(&self.feed, page);
    }
}

fn write_stats(stats: &Stats, page: &mut Page) {
    for timed in &stats.operations {
        let labels = [("operation", timed.operation), ("outcome", timed.outcome)];
        page.histogram(&OPERATION, &labels, &timed.durations);
    }
    page.sample(&USES, &[], stats.uses_waiting);
    write_masters(&stats.masters, page);
    if let Some(cache) = &stats.cache {
        write_cache(cache, page);
    }
}

fn write_masters(masters: &[MasterStats], page: &mut Page) {
    for master in masters {
        for state in Breaker::ALL {
            let labels = [("master", &*master.address), ("state", state.as_str())];
            page.sample(&BREAKER, &labels, u8::from(master.breaker == state));
        }
    }
    for master in masters {
        let labels = [("master", &*master.address)];
        page.sample(&CONNECTIONS, &labels, master.connections);
    }
    for master in masters {
        let labels = [("master", &*master.address)];
        page.sample(&REQUESTS, &labels, master.requests);
    }
    for master in masters {
        let labels = [("master", &*master.address)];
        page.sample(&REQUEST_LIMIT, &labels, master.request_limit);
    }
    for master in masters {
        let labels = [("master", &*master.address)];
        page.sample(&SHED, &labels, master.shed);
    }
}

fn write_cache(cache: &CacheStats, page: &mut Page) {
    let both = [("session", cache.sessions), ("service", cache.services)];
    for (of, copies) in both {
        page.sample(&HITS, &[("of", of)], copies.hits);
    }
    for (of, copies) in both {
        page.sample(&MISSES, &[("of", of)], copies.misses);
    }
    for (of, copies) in both {
        page.sample(&ENTRIES, &[("of", of)], copies.entries);
    }
    page.sample(&BYTES, &[], cache.bytes);
    page.sample(&MAX_BYTES, &[], cache.max_bytes);
}

fn write_feed(feed: &Handle<dyn EventFeed>, page: &mut Page) {
    let (mut oldest, mut unheard) = (None, 0);
    for partition in feed.partitions().all() {
        match feed.watermark(partition) {
            Some(until) => oldest = Some(oldest.map_or(until, |oldest: Instant| oldest.min(until))),
            None => unheard += 1,
        }
    }
    if let Some(oldest) = oldest {
        page.sample(&LAG, &[], oldest.elapsed().as_secs_f64());
    }
    page.sample(&UNHEARD, &[], unheard);
}
