//! A position in the feed as one moment that all partitions have passed, and the positions of those that are beyond it.
//!
//! **What it says.** For each history there is (each server that takes writes has one, and tells its partitions the time)
//! a moment: of its partitions everything at or before that millisecond was told. A partition of which later events were
//! told, too, has its own position beside it. In a feed of few events a second that are few partitions, as the moment
//! lies a second before the last event.
//!
//! **Why nothing is left out.** A partition with a position of its own goes on after it: positions in a partition only
//! grow, whatever the clocks do. Of the others an event could be left out that comes later and yet stands at or before
//! the moment, as its server's clock went back, or was told after the cursor was made though it stood there before. So
//! the cursor has a seal of each history: the sum over its partitions of what stood last in each up to the moment. As
//! positions in a partition only grow, any event that is added there is the last; so if the seal is still the same,
//! nothing was added. If it is not, the partitions of this history are read from [`SKEW`] before the moment: events may
//! be told again, and none is left out. Before that nothing is added, as clocks are no further apart.
//!
//! A history that is not among those of the cursor is that of a server that continues after a failover, or that took over
//! partitions of another: they are read from `SKEW` before the earliest moment. Which partitions a history has is part
//! of its seal.

use std::collections::BTreeMap;
use std::iter::zip;

use super::mark::Mark;
use super::numbers::{put, take};
use super::{History, Partition, Position, SKEW};

/// A moment that is later than any clock shows, and still a number that Redis takes.
const LATEST: u64 = 1 << 53;

#[derive(Debug, PartialEq, Eq)]
struct Group {
    history: History,
    until: u64,
    seal: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Short {
    /// No moment is earlier.
    base: u64,
    groups: Vec<Group>,
    beyond: BTreeMap<usize, Position>,
}

impl Short {
    pub(super) fn of(marks: &[Mark]) -> Self {
        let base = marks.iter().map(|mark| mark.until).min().unwrap_or(0);
        let mut groups: Vec<Group> = Vec::new();
        for mark in marks {
            let Some(history) = mark.history else {
                continue;
            };
            match groups.iter_mut().find(|group| group.history == history) {
                Some(group) => group.until = group.until.min(mark.until),
                None => groups.push(Group {
                    history,
                    until: mark.until,
                    seal: 0,
                }),
            }
        }
        let mut beyond = BTreeMap::new();
        for (at, mark) in marks.iter().enumerate() {
            let group = groups
                .iter_mut()
                .find(|group| Some(group.history) == mark.history);
            let until = group.as_ref().map_or(base, |group| group.until);
            let is_beyond = mark.last.millis > until;
            if is_beyond {
                beyond.insert(at, mark.last);
            }
            if let Some(group) = group {
                let last = (!is_beyond).then_some(mark.last);
                group.seal = group.seal.wrapping_add(trace(at, last, until));
            }
        }
        Self {
            base,
            groups,
            beyond,
        }
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        put(bytes, self.base);
        put(bytes, u64::try_from(self.groups.len()).unwrap_or(0));
        for Group {
            history,
            until,
            seal,
        } in &self.groups
        {
            bytes.extend(history.0);
            bytes.extend(seal.to_be_bytes());
            put(bytes, until - self.base);
        }
        let mut next = 0;
        for (partition, Position { millis, number }) in &self.beyond {
            put(bytes, u64::try_from(partition - next).unwrap_or(0));
            put(bytes, millis - self.base);
            put(bytes, *number);
            next = partition + 1;
        }
    }

    pub(super) fn take(mut rest: &[u8], count: usize) -> Option<Self> {
        let moment = |base: u64, since: u64| base.checked_add(since).filter(|at| *at <= LATEST);
        let base = moment(0, take(&mut rest)?)?;
        let mut groups = Vec::new();
        for _group in 0..take(&mut rest)? {
            let (history, after) = rest.split_first_chunk::<4>()?;
            let (seal, after) = after.split_first_chunk::<4>()?;
            rest = after;
            groups.push(Group {
                history: History(*history),
                seal: u32::from_be_bytes(*seal),
                until: moment(base, take(&mut rest)?)?,
            });
        }
        let (mut beyond, mut next) = (BTreeMap::new(), 0);
        while !rest.is_empty() {
            let partition = usize::try_from(take(&mut rest)?).ok()?.checked_add(next)?;
            let (since, number) = (take(&mut rest)?, take(&mut rest)?);
            let millis = moment(base, since).filter(|_| partition < count)?;
            beyond.insert(partition, Position { millis, number });
            next = partition + 1;
        }
        Some(Self {
            base,
            groups,
            beyond,
        })
    }

    fn group(&self, history: Option<History>) -> Option<&Group> {
        let mut groups = self.groups.iter();
        groups.find(|group| Some(group.history) == history)
    }

    pub(super) fn knows(&self, history: Option<History>) -> bool {
        self.group(history).is_some()
    }

    pub(super) fn position(&self, partition: Partition, history: Option<History>) -> Position {
        let until = self.group(history).map_or(self.base, |group| group.until);
        // All of the millisecond was told.
        let moment = Position {
            millis: until,
            number: u64::MAX,
        };
        self.beyond.get(&partition.0).copied().unwrap_or(moment)
    }

    pub(super) fn overtaken(
        &self,
        histories: &[Option<History>],
        lasts: &[Position],
    ) -> Vec<Partition> {
        let of = |group: &Group| -> Vec<(usize, Option<Position>)> {
            let all = zip(histories, lasts).enumerate();
            let own = all.filter(|(_, (history, _))| **history == Some(group.history));
            own.map(|(at, (_, last))| (at, (!self.beyond.contains_key(&at)).then_some(*last)))
                .collect()
        };
        let mut overtaken = Vec::new();
        for group in &self.groups {
            let own = of(group);
            let traces = own.iter().map(|(at, last)| trace(*at, *last, group.until));
            if traces.fold(0, u32::wrapping_add) != group.seal {
                let within = own.iter().filter(|(_, last)| last.is_some());
                overtaken.extend(within.map(|(at, _)| Partition(*at)));
            }
        }
        overtaken
    }
}

/// What a partition adds to a seal: its number, and the last event that stands up to the moment and after what counts as
/// over before it.
fn trace(partition: usize, last: Option<Position>, until: u64) -> u32 {
    let settled = Position {
        millis: until,
        number: 0,
    }
    .rewound(SKEW);
    let Position { millis, number } = last.filter(|last| *last > settled).unwrap_or_default();
    let mut hash = u64::try_from(partition).unwrap_or(u64::MAX);
    for word in [millis, number] {
        hash = mixed(hash ^ mixed(word));
    }
    let [a, b, c, d, ..] = hash.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Spreads every bit over all: the last step of `SplitMix64`. It is not to withstand anybody, and every version comes to
/// the same.
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
