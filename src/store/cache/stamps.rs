//! Whether a copy was overtaken: a stamp is taken before the read that makes a copy, and the copy is good as long as
//! the same stamp would be taken now. So it makes no difference whether a change is heard of before, during or after
//! the read.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::id::SessionId;
use crate::store::Part;

/// Sessions share counters, so that their number is bounded; a change voids the copies of all that share its counter.
const COUNTERS: usize = 1 << 16;

/// Shards, and the services.
const PARTS: usize = 257;

/// What was changed up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    session: u64,
    part: u64,
}

/// Counters of changes.
#[derive(Debug)]
pub(super) struct Stamps {
    sessions: Box<[AtomicU64]>,
    parts: Box<[AtomicU64]>,
}

impl Stamps {
    pub(super) fn new() -> Self {
        let counters = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            sessions: counters(COUNTERS),
            parts: counters(PARTS),
        }
    }

    pub(super) fn of_session(&self, session_id: SessionId) -> Stamp {
        Stamp {
            session: read(self.session(session_id)),
            part: read(self.part(Part::of_session(session_id))),
        }
    }

    pub(super) fn of_services(&self) -> Stamp {
        Stamp {
            session: 0,
            part: read(self.part(Part::Services)),
        }
    }

    pub(super) fn void_session(&self, session_id: SessionId) {
        count(self.session(session_id));
    }

    pub(super) fn void_part(&self, part: Part) {
        count(self.part(part));
    }

    /// The last bytes of an id are random, but for the shard at the very end.
    fn session(&self, session_id: SessionId) -> Option<&AtomicU64> {
        let [.., high, low, _shard] = *session_id.as_bytes();
        self.sessions
            .get(usize::from(u16::from_be_bytes([high, low])))
    }

    fn part(&self, part: Part) -> Option<&AtomicU64> {
        self.parts.get(match part {
            Part::Shard(shard) => usize::from(shard),
            Part::Services => PARTS - 1,
        })
    }
}

fn read(counter: Option<&AtomicU64>) -> u64 {
    counter.map_or(0, |counter| counter.load(Ordering::SeqCst))
}

fn count(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_voids_its_session_or_its_part_and_nothing_else() {
        let stamps = Stamps::new();
        let [one, two] = [1, 2].map(|byte| SessionId::from_bytes([byte; 16]));
        let taken = || {
            (
                stamps.of_session(one),
                stamps.of_session(two),
                stamps.of_services(),
            )
        };
        let before = taken();
        stamps.void_session(one);
        let after = taken();
        assert_ne!(after.0, before.0);
        assert_eq!((after.1, after.2), (before.1, before.2));
        stamps.void_part(Part::Shard(2));
        assert_eq!(taken(), (after.0, stamps.of_session(two), after.2));
        assert_ne!(stamps.of_session(two), after.1);
        stamps.void_part(Part::Services);
        assert_ne!(stamps.of_services(), after.2);
        assert_eq!(stamps.of_session(one), after.0);
    }
}
