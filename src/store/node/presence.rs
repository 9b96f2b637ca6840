//! Which gateways run, by their heartbeats, and the newest format that all of them read.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::tail::NodeId;

/// Gateways that were heard of.
#[derive(Debug)]
pub(in crate::store) struct Presence {
    /// How long a gateway counts after its last heartbeat.
    kept: Duration,
    /// From when on no heartbeat was missed.
    since: Option<Instant>,
    heard: HashMap<NodeId, (Instant, u64)>,
}

impl Presence {
    pub(in crate::store) fn new(kept: Duration) -> Self {
        Self {
            kept,
            since: None,
            heard: HashMap::new(),
        }
    }

    /// Heartbeats are heard from a moment on, or not at all.
    pub(in crate::store) fn listen(&mut self, since: Option<Instant>) {
        self.since = since;
    }

    pub(in crate::store) fn hear(&mut self, node: NodeId, format: u64, at: Instant) {
        self.heard.insert(node, (at, format));
    }

    /// The newest format that every gateway reads which counts at a moment up to which all was heard. Nothing while one
    /// may run whose heartbeat was missed.
    pub(in crate::store) fn common_format(&mut self, at: Instant) -> Option<u64> {
        let counts = |since: Instant| at.saturating_duration_since(since) < self.kept;
        self.heard.retain(|_, (heard, _)| counts(*heard));
        if self.since.is_none_or(counts) {
            return None;
        }
        self.heard.values().map(|(_, format)| *format).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_was_heard_of_lately_decides_once_none_can_be_missed() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut presence = Presence::new(Duration::from_secs(15));
        presence.hear(1, 2, at(0));
        assert_eq!(presence.common_format(at(0)), None, "nothing is heard");
        presence.listen(Some(at(0)));
        presence.hear(2, 1, at(1));
        presence.hear(1, 2, at(14));
        assert_eq!(presence.common_format(at(14)), None, "too soon");
        presence.hear(1, 2, at(15));
        assert_eq!(presence.common_format(at(15)), Some(1));
        presence.hear(1, 2, at(16));
        assert_eq!(presence.common_format(at(16)), Some(2));
        presence.listen(None);
        assert_eq!(presence.common_format(at(16)), None);
        presence.listen(Some(at(17)));
        presence.hear(1, 2, at(31));
        assert_eq!(presence.common_format(at(31)), None, "one may be missed");
        assert_eq!(presence.common_format(at(32)), Some(2));
        assert_eq!(presence.common_format(at(99)), None, "nobody runs");
    }
}
