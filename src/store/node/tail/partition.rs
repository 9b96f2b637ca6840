//! One partition of the feed as far as this node has heard it. Each event names the one before it, so that none can be
//! missed unnoticed; what was missed is read from the feed, while events that come meanwhile wait.

use std::time::Duration;

use super::page::PartitionPage;
use super::recorded::Recorded;
use crate::store::position::Position;

/// Events that wait for a read; when there are more, another read follows.
const WAITING: usize = 64;

/// Events of a partition, ready to be told.
pub(super) type Told = Vec<(Position, Recorded)>;

#[derive(Debug, Default)]
pub(super) struct PartitionTail {
    /// The last event that was told, or where telling began. Nothing before the first read.
    last: Option<Position>,
    /// Whether that is where telling began, and no event that is known to have been there.
    begun: bool,
    state: TailState,
    /// Counts the reads that were begun.
    reads: u64,
}

#[derive(Debug, Default)]
enum TailState {
    /// Nobody listens.
    #[default]
    Disconnected,
    CatchingUp {
        waiting: Vec<Entry>,
        missed: bool,
    },
    /// All is told that was heard.
    Live,
}

/// An event at its position in its partition.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Entry {
    /// What stood last in the partition before; nothing if it was empty.
    pub(in crate::store) previous: Option<Position>,
    pub(in crate::store) position: Position,
    /// Nothing if this version does not know its kind.
    pub(in crate::store) told: Option<Recorded>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Read {
    number: u64,
    /// Nothing: only where the partition ends is of interest.
    pub(in crate::store) after: Option<Position>,
    /// Whether nothing need stand at that position.
    begun: bool,
}

/// Events before one that was heard were not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It was given up meanwhile.
    Nothing,
    ReadOn,
    /// All is told.
    Live,
}

impl PartitionTail {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, TailState::Live)
    }

    /// What stands last in it, once it is live.
    pub(super) fn last(&self) -> Option<Position> {
        self.last
    }

    /// Whether it was never heard of before.
    pub(super) fn is_new(&self) -> bool {
        self.last.is_none()
    }

    /// What comes after a position is to be told.
    pub(super) fn begin(&mut self, position: Position) {
        self.last = Some(position);
        self.begun = true;
    }

    pub(super) fn disconnect(&mut self) {
        self.state = TailState::Disconnected;
    }

    /// Goes back: in another history there may be other events at earlier positions.
    pub(super) fn rewind(&mut self, by: Duration) {
        self.last = self.last.map(|last| last.rewound(by));
    }

    /// From now on what is missing is read.
    pub(super) fn read(&mut self) -> Read {
        self.reads += 1;
        // Events are kept from before the read is sent, so none falls between the two; those that the read has as well
        // are left out when they are appended.
        self.state = TailState::CatchingUp {
            waiting: Vec::new(),
            missed: false,
        };
        Read {
            number: self.reads,
            after: self.last,
            begun: self.begun,
        }
    }

    /// Whether a read is the last that was begun, and still wanted.
    pub(super) fn wants(&self, read: Read) -> bool {
        matches!(self.state, TailState::CatchingUp { .. }) && self.reads == read.number
    }

    pub(super) fn hear(&mut self, entry: Entry) -> Result<Told, Missed> {
        match &mut self.state {
            TailState::Disconnected => Ok(Told::new()),
            TailState::CatchingUp { waiting, missed } => {
                if waiting.len() < WAITING {
                    waiting.push(entry);
                } else {
                    *missed = true;
                }
                Ok(Told::new())
            }
            TailState::Live => {
                let mut told = Told::new();
                self.append(entry, &mut told).map(|()| told)
            }
        }
    }

    /// An event that was told before is left out. The first of a partition is always told: it may begin anew.
    fn append(&mut self, entry: Entry, told: &mut Told) -> Result<(), Missed> {
        let last = self.last.unwrap_or_default();
        match entry.previous {
            Some(_) if entry.position <= last => return Ok(()),
            Some(previous) if previous > last => return Err(Missed),
            Some(_) | None => {}
        }
        self.last = Some(entry.position);
        told.extend(entry.told.map(|recorded| (entry.position, recorded)));
        Ok(())
    }

    pub(super) fn catch_up(
        &mut self,
        read: Read,
        source: PartitionPage,
        rewind: Duration,
    ) -> (Told, After) {
        let mut told = Told::new();
        if !self.wants(read) {
            return (told, After::Nothing);
        }
        let TailState::CatchingUp { waiting, missed } = std::mem::take(&mut self.state) else {
            return (told, After::Nothing);
        };
        let newest = source.newest.unwrap_or_default();
        let ends_before = read.after.is_some_and(|after| newest < after);
        let lost = ends_before && !read.begun;
        self.begun = false;
        match read.after {
            None => self.last = Some(newest),
            // Nothing happened since telling began.
            Some(_) if ends_before && read.begun => self.last = Some(newest),
            // The feed has lost its end here, or is gone.
            Some(_) if lost => self.last = Some(newest.rewound(rewind)),
            Some(_) => {
                for (position, recorded) in source.entries {
                    self.last = Some(position);
                    told.extend(recorded.map(|recorded| (position, recorded)));
                }
            }
        }
        // A first read asks only where the partition ends, so what is open there is of no interest. Of one that lost its
        // end, what it has had instead since is still to be read; of one that is gone there is nothing.
        let more = read.after.is_some() && source.open || lost && newest != Position::default();
        if more || missed || !self.append_all(waiting, &mut told) {
            return (told, After::ReadOn);
        }
        self.state = TailState::Live;
        (told, After::Live)
    }

    fn append_all(&mut self, waiting: Vec<Entry>, told: &mut Told) -> bool {
        waiting
            .into_iter()
            .all(|entry| self.append(entry, told).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::event::{Change, Fact, ServiceChange};
    use crate::model::id::ServiceId;
    use crate::store::Partition;

    const REWIND: Duration = Duration::from_millis(10);

    fn at(millis: u64) -> Position {
        Position { millis, number: 0 }
    }

    fn recorded(millis: u64) -> Recorded {
        let fact = Fact {
            at: Timestamp::from_millis(i64::try_from(millis).unwrap()),
            session_id: None,
            login_id: None,
            service_id: ServiceId::admin(),
            change: Change::ServiceChanged {
                change: ServiceChange::Updated,
                by: ServiceId::admin(),
            },
        };
        Recorded {
            fact,
            node: None,
            lived: None,
        }
    }

    fn entry(previous: u64, millis: u64) -> Entry {
        Entry {
            previous: (previous > 0).then_some(at(previous)),
            position: at(millis),
            told: Some(recorded(millis)),
        }
    }

    fn source(entries: &[u64], newest: u64, open: bool) -> PartitionPage {
        PartitionPage {
            partition: Partition(0),
            position: Position::default(),
            last: None,
            entries: entries
                .iter()
                .map(|millis| (at(*millis), Some(recorded(*millis))))
                .collect(),
            open,
            now: Timestamp::from_millis(0),
            over: None,
            newest: (newest > 0).then_some(at(newest)),
        }
    }

    fn positions(told: &Told) -> Vec<u64> {
        told.iter().map(|(position, _)| position.millis).collect()
    }

    /// Has heard everything up to a position.
    fn whole(millis: u64) -> PartitionTail {
        let mut followed = PartitionTail::default();
        let read = followed.read();
        assert_eq!(read.after, None);
        let (told, after) = followed.catch_up(read, source(&[], millis, true), REWIND);
        assert_eq!((told, after), (Told::new(), After::Live));
        followed
    }

    #[test]
    fn events_are_told_in_order_and_once() {
        let mut followed = whole(5);
        assert_eq!(positions(&followed.hear(entry(5, 6)).unwrap()), [6]);
        assert_eq!(followed.hear(entry(5, 6)), Ok(Told::new()));
        assert_eq!(positions(&followed.hear(entry(6, 9)).unwrap()), [9]);
        assert!(followed.is_live());
    }

    #[test]
    fn a_missing_event_is_noticed() {
        let mut followed = whole(5);
        assert_eq!(followed.hear(entry(7, 8)), Err(Missed));
    }

    #[test]
    fn a_stream_that_begins_anew_is_heard() {
        let mut followed = whole(5);
        assert_eq!(positions(&followed.hear(entry(0, 3)).unwrap()), [3]);
    }

    #[test]
    fn what_comes_during_a_read_is_told_after_it() {
        let mut followed = whole(5);
        followed.disconnect();
        assert_eq!(followed.hear(entry(5, 6)), Ok(Told::new()));
        let read = followed.read();
        assert_eq!(read.after, Some(at(5)));
        for (previous, millis) in [(6, 7), (7, 8)] {
            assert_eq!(followed.hear(entry(previous, millis)), Ok(Told::new()));
        }
        assert!(!followed.is_live());
        let (told, after) = followed.catch_up(read, source(&[6, 7], 7, false), REWIND);
        assert_eq!((positions(&told), after), (vec![6, 7, 8], After::Live));
    }

    #[test]
    fn a_read_is_followed_by_others_until_all_is_there() {
        let mut followed = whole(5);
        followed.disconnect();
        let read = followed.read();
        let (told, after) = followed.catch_up(read, source(&[6], 9, true), REWIND);
        assert_eq!((positions(&told), after), (vec![6], After::ReadOn));
        let read = followed.read();
        assert_eq!(followed.hear(entry(9, 10)), Ok(Told::new()));
        let (told, after) = followed.catch_up(read, source(&[7], 7, false), REWIND);
        assert_eq!((positions(&told), after), (vec![7], After::ReadOn));
    }

    #[test]
    fn more_than_can_wait_is_read() {
        let mut followed = whole(1_000);
        followed.disconnect();
        let read = followed.read();
        for millis in 1_001..=1_000 + WAITING as u64 + 1 {
            assert_eq!(followed.hear(entry(millis - 1, millis)), Ok(Told::new()));
        }
        let (_, after) = followed.catch_up(read, source(&[], 1_000, false), REWIND);
        assert_eq!(after, After::ReadOn);
    }

    #[test]
    fn a_read_that_was_given_up_tells_nothing() {
        let mut followed = whole(5);
        followed.disconnect();
        let old = followed.read();
        let new = followed.read();
        assert!(!followed.wants(old));
        let (told, after) = followed.catch_up(old, source(&[6], 6, false), REWIND);
        assert_eq!((told, after), (Told::new(), After::Nothing));
        let (told, after) = followed.catch_up(new, source(&[6], 6, false), REWIND);
        assert_eq!((positions(&told), after), (vec![6], After::Live));
    }

    #[test]
    fn a_stream_that_lost_its_end_is_read_again_from_before_it() {
        let mut followed = whole(50);
        followed.disconnect();
        let read = followed.read();
        let (told, after) = followed.catch_up(read, source(&[], 40, false), REWIND);
        assert_eq!((told, after), (Told::new(), After::ReadOn));
        assert_eq!(followed.read().after, Some(at(30)));
    }

    #[test]
    fn a_quiet_stream_has_lost_nothing_when_telling_begins_after_its_end() {
        let mut followed = PartitionTail::default();
        followed.begin(at(50));
        let read = followed.read();
        let caught_up = followed.catch_up(read, source(&[], 40, false), REWIND);
        assert_eq!(caught_up, (Told::new(), After::Live));
        assert_eq!(positions(&followed.hear(entry(40, 60)).unwrap()), [60]);
    }

    #[test]
    fn a_stream_that_is_gone_begins_anew() {
        let mut followed = whole(50);
        followed.disconnect();
        let read = followed.read();
        let (_, after) = followed.catch_up(read, source(&[], 0, false), REWIND);
        assert_eq!(after, After::Live);
        assert_eq!(positions(&followed.hear(entry(0, 3)).unwrap()), [3]);
    }
}
