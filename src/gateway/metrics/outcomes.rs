//! What operations of this node did to sessions, as the feed tells it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::event::{Change, Event};
use crate::model::session::EndReason;
use crate::store::{Listener, Origin, Partition};
use crate::telemetry::counters::{Buckets, Counter, Histogram};
use crate::telemetry::metrics::{Family, Kind, MetricSource, Page};

const MINUTE: u64 = 60 * 1_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// In milliseconds, as long lives add up.
static LIVES: Buckets = Buckets {
    bounds: &[
        10_000,
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        4 * HOUR,
        8 * HOUR,
        12 * HOUR,
        DAY,
        3 * DAY,
        7 * DAY,
        30 * DAY,
    ],
    per_second: 1_000,
};

const CREATED: Family = Family {
    name: "session_created_total",
    kind: Kind::Counter,
    help: "Sessions that this node opened; the sum over all nodes is all.",
};
const DELETED: Family = Family {
    name: "session_deleted_total",
    kind: Kind::Counter,
    help: "Sessions that this node ended before their time, whatever for; the sum over all nodes is all.",
};
const EXPIRED: Family = Family {
    name: "session_expired_total",
    kind: Kind::Counter,
    help: "Sessions that were over by their idle timeout or greatest age and that this node met first; the sum over all nodes is all.",
};
const ENDED: Family = Family {
    name: "session_ended_total",
    kind: Kind::Counter,
    help: "Sessions that this node ended or met first when they were over, by reason; `replaced` are evictions under a limit.",
};
const LIVED: Family = Family {
    name: "session_duration_seconds",
    kind: Kind::Histogram,
    help: "How long sessions had lived when they ended, of those that this node counts as ended.",
};

#[derive(Debug)]
pub(super) struct Outcomes {
    opened: Counter,
    ended: [Counter; EndReason::ALL.len()],
    lived: Histogram,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            opened: Counter::default(),
            ended: Default::default(),
            lived: Histogram::new(&LIVES),
        }
    }
}

impl Listener for Outcomes {
    fn event(&self, event: &Event, origin: Origin) {
        if !origin.own {
            return;
        }
        match &event.fact.change {
            Change::SessionCreated { .. } => self.opened.count(),
            Change::SessionEnded { reason, .. } => {
                let mut all = self.by_reason();
                if let Some((_, ended)) = all.find(|(known, _)| known == reason) {
                    ended.count();
                }
                if let Some(lived) = origin.lived {
                    let lived = u64::try_from(lived.as_millis());
                    self.lived.take(lived.unwrap_or(u64::MAX));
                }
            }
            Change::SessionChanged { .. }
            | Change::SessionRotated { .. }
            | Change::ServiceChanged { .. }
            | Change::LoginBanned { .. }
            | Change::LoginUnbanned { .. } => {}
        }
    }

    fn gap(&self, _partition: Partition) {}
}

impl Outcomes {
    fn by_reason(&self) -> impl Iterator<Item = (EndReason, &Counter)> {
        EndReason::ALL.into_iter().zip(&self.ended)
    }
}

#[async_trait]
impl MetricSource for Arc<Outcomes> {
    async fn write(&self, page: &mut Page) {
        let sum = |by_age: bool| -> u64 {
            let wanted = self.by_reason();
            let wanted = wanted.filter(|(reason, _)| reason.is_by_age() == by_age);
            wanted.map(|(_, ended)| ended.total()).sum()
        };
        page.sample(&CREATED, &[], self.opened.total());
        page.sample(&DELETED, &[], sum(false));
        page.sample(&EXPIRED, &[], sum(true));
        for (reason, ended) in self.by_reason() {
            page.sample(&ENDED, &[("reason", reason.as_str())], ended.total());
        }
        page.histogram(&LIVED, &[], &self.lived.seen());
    }
}
