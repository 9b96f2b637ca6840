//! Uses of sessions that are still to be written.
//!
//! A use counts from the moment it is noted here, for everyone who asks this process; its record follows in batches.
//! Room is bounded: what finds none is written at once by its caller.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::record::SessionRecord;
use crate::model::request::Touch;
use crate::model::session::Life;
use crate::rules::activity::{self, TouchPlan, used};
use crate::store::Verified;

mod writer;

pub(in crate::store) use writer::{WriteUses, write_due, write_until};

/// Parts with a lock of their own, so that verifications seldom meet.
const SHARDS: usize = 16;

/// Uses a part has room for: 262,144 in all, some 30 MB.
const SHARD_ROOM: usize = 16_384;

/// How long a written use is still told: longer than any read takes, so that a read of an older state has it too.
const LINGER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(in crate::store) struct ActivityBuffer {
    longest_interval: Duration,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct SessionActivity {
    pub(in crate::store) session_id: SessionId,
    pub(in crate::store) at: Timestamp,
}

impl SessionActivity {
    /// Adds the use to its record, and tells whether that changed it.
    pub(in crate::store) fn apply(self, record: &mut SessionRecord) -> bool {
        activity::count(record, self.at)
    }
}

#[derive(Debug, Default)]
struct Shard {
    uses: HashMap<SessionId, Use, RandomState>,
    agenda: BTreeSet<(Timestamp, SessionId)>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    at: Timestamp,
    interval: Duration,
    /// When it is to be written, or forgotten if it is written.
    due: Timestamp,
    /// The latest use that is in the store.
    written: Option<Timestamp>,
}

impl Use {
    fn is_written(&self) -> bool {
        self.written >= Some(self.at)
    }

    /// Takes a later use in, unless that is to be written anew.
    fn moved_to(&mut self, at: Timestamp) -> bool {
        let moves = !self.is_written() || at <= self.at;
        if moves {
            self.at = self.at.max(at);
        }
        moves
    }

    /// The life of a session that was found before this use, and until when its record lets it live in the store.
    fn since(&self, found: &Verified) -> (Life, Timestamp) {
        let record = &*found.record;
        let stored_until = self.written.map_or(found.stored_until, |at| {
            let moved = at.plus(record.idle_timeout);
            found
                .stored_until
                .max(moved.min(record.session.max_expires_at))
        });
        (used(record, found.life, self.at), stored_until)
    }
}

impl ActivityBuffer {
    /// Uses are written within `longest_interval`, sooner for sessions with a short idle timeout.
    pub(in crate::store) fn new(longest_interval: Duration) -> Self {
        Self {
            longest_interval,
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// See [`activity::plan_touch`].
    fn plan(&self, record: &SessionRecord, stored_until: Timestamp, now: Timestamp) -> TouchPlan {
        activity::plan_touch(record, stored_until, now, self.longest_interval)
    }

    /// Counts a use at `now` and tells the life it gives; `None` if it must be written before anybody is told. See
    /// [`activity::plan_touch`].
    pub(in crate::store) fn count(
        &self,
        record: &SessionRecord,
        life: Life,
        stored_until: Timestamp,
        now: Timestamp,
    ) -> Option<Life> {
        match self.plan(record, stored_until, now) {
            TouchPlan::Now => None,
            TouchPlan::Within(interval) => self
                .note(record.session.session_id, now, interval)
                .then(|| used(record, life, now)),
        }
    }

    /// Counts a use that is to be written within `interval`; `false` if there is no room for it.
    fn note(&self, session_id: SessionId, at: Timestamp, interval: Duration) -> bool {
        self.shard(session_id).note(session_id, at, interval)
    }

    /// Adds the latest use to a record that may have been stored before it. What was written at the very moment of
    /// the use, or later, stands; and a use revives nothing.
    pub(in crate::store) fn overlay(&self, record: &mut SessionRecord) {
        let session_id = record.session.session_id;
        if let Some(at) = self.latest(session_id) {
            SessionActivity { session_id, at }.apply(record);
        }
    }

    /// The life of a session that was found before, as the uses since have left it, and until when its record lets it
    /// live in the store; with [`Touch::Yes`] after one more use at `now`. `None` if `lives` refuses that life, or a use
    /// must be written before anybody is told.
    pub(in crate::store) fn again(
        &self,
        found: &Verified,
        touch: Touch,
        now: Timestamp,
        lives: impl FnOnce(Life) -> bool,
    ) -> Option<(Life, Timestamp)> {
        let record = &*found.record;
        let session_id = record.session.session_id;
        let mut shard = self.shard(session_id);
        let known = shard.uses.get_mut(&session_id);
        let (life, stored_until) = match &known {
            None => (found.life, found.stored_until),
            Some(known) => known.since(found),
        };
        if !lives(life) || stored_until <= now {
            return None;
        }
        if touch != Touch::Yes {
            return Some((life, stored_until));
        }
        let TouchPlan::Within(interval) = self.plan(record, stored_until, now) else {
            return None;
        };
        let noted =
            known.is_some_and(|known| known.moved_to(now)) || shard.note(session_id, now, interval);
        noted.then(|| (used(record, life, now), stored_until))
    }

    /// The latest use that is noted, whether or not it is written.
    pub(in crate::store) fn latest(&self, session_id: SessionId) -> Option<Timestamp> {
        let shard = self.shard(session_id);
        shard.uses.get(&session_id).map(|known| known.at)
    }

    /// Up to `most` uses that are to be written by `now`. They stay until [`written`](Self::written) tells that they
    /// are.
    pub(in crate::store) fn due(&self, now: Timestamp, most: usize) -> Vec<SessionActivity> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let room = most.saturating_sub(found.len());
            found.extend(lock(shard).due(now, room));
        }
        found
    }

    /// Tells that a use is written, or that there is nothing to write it to.
    pub(in crate::store) fn written(&self, touch: SessionActivity, now: Timestamp) {
        let mut shard = self.shard(touch.session_id);
        let Some(known) = shard.uses.get(&touch.session_id).copied() else {
            return;
        };
        let written = Use {
            written: known.written.max(Some(touch.at)),
            ..known
        };
        let wait = if written.is_written() {
            LINGER
        } else {
            known.interval
        };
        let due = now.plus(wait);
        shard.put(touch.session_id, Use { due, ..written });
    }

    pub(in crate::store) fn waiting(&self) -> u64 {
        let waiting = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            let uses = shard.uses.values();
            uses.filter(|known| !known.is_written()).count() as u64
        };
        self.shards.iter().map(waiting).sum()
    }

    fn shard(&self, session_id: SessionId) -> MutexGuard<'_, Shard> {
        let [.., random, _shard] = *session_id.as_bytes();
        let [first, ..] = &self.shards;
        lock(
            self.shards
                .get(usize::from(random) % SHARDS)
                .unwrap_or(first),
        )
    }
}

/// A panic elsewhere leaves a shard whole: each change of it is one insertion after another.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn note(&mut self, session_id: SessionId, at: Timestamp, interval: Duration) -> bool {
        let mut written = None;
        if let Some(known) = self.uses.get_mut(&session_id) {
            if known.moved_to(at) {
                return true;
            }
            written = known.written;
        } else if self.uses.len() >= SHARD_ROOM {
            return false;
        }
        let due = at.plus(interval);
        self.put(
            session_id,
            Use {
                at,
                interval,
                due,
                written,
            },
        );
        true
    }

    fn put(&mut self, session_id: SessionId, new: Use) {
        let old = self.uses.insert(session_id, new);
        if old.is_some_and(|old| old.due == new.due) {
            return;
        }
        if let Some(old) = old {
            self.agenda.remove(&(old.due, session_id));
        }
        self.agenda.insert((new.due, session_id));
    }

    /// Looks at up to `most` entries of the agenda; forgets those that were written long enough ago.
    fn due(&mut self, now: Timestamp, most: usize) -> Vec<SessionActivity> {
        let due = self.agenda.iter().take_while(|(due, _)| *due <= now);
        let entries: Vec<_> = due.take(most).copied().collect();
        let mut waiting = Vec::new();
        for (due, session_id) in entries {
            match self.uses.get(&session_id) {
                Some(known) if !known.is_written() => waiting.push(SessionActivity {
                    session_id,
                    at: known.at,
                }),
                Some(_) | None => {
                    self.agenda.remove(&(due, session_id));
                    self.uses.remove(&session_id);
                }
            }
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn id(number: usize) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    fn use_at(at: Timestamp) -> SessionActivity {
        SessionActivity {
            session_id: id(1),
            at,
        }
    }

    #[test]
    fn the_latest_use_is_due_an_interval_after_the_first() {
        let buffer = ActivityBuffer::new(SECOND);
        assert!(buffer.note(id(1), START, SECOND));
        let later = START.plus(SECOND / 2);
        assert!(buffer.note(id(1), later, SECOND));
        assert_eq!(buffer.due(later, 9), []);
        let due = buffer.due(START.plus(SECOND), 9);
        assert_eq!(due, [use_at(later)]);
        assert_eq!(buffer.due(START.plus(SECOND), 9), due);
    }

    #[test]
    fn a_use_during_the_write_of_an_earlier_one_is_due_again() {
        let buffer = ActivityBuffer::new(SECOND);
        assert!(buffer.note(id(1), START, SECOND));
        let during = START.plus(SECOND);
        assert!(buffer.note(id(1), during, SECOND));
        buffer.written(use_at(START), during);
        assert_eq!(buffer.due(during, 9), []);
        assert_eq!(buffer.due(during.plus(SECOND), 9), [use_at(during)]);
    }

    #[test]
    fn a_written_use_is_forgotten_after_a_while() {
        let buffer = ActivityBuffer::new(SECOND);
        assert!(buffer.note(id(1), START, SECOND));
        buffer.written(use_at(START), START);
        assert_eq!(buffer.due(START.plus(LINGER), 9), []);
        assert!(buffer.shard(id(1)).uses.is_empty());
        assert!(buffer.shard(id(1)).agenda.is_empty());
    }

    #[test]
    fn room_is_bounded() {
        let buffer = ActivityBuffer::new(SECOND);
        for number in 0..SHARD_ROOM {
            assert!(buffer.note(id(number), START, SECOND));
        }
        assert!(!buffer.note(id(SHARD_ROOM), START, SECOND));
        assert!(buffer.note(id(0), START, SECOND));
    }
}
