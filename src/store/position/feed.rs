//! A position in the feed while it moves, and as a cursor tells it.

use super::exact::{self, Checkpoint};
use super::mark::Mark;
use super::short::Short;
use super::{History, Partition, Partitions, Position, SKEW};
use crate::model::event::{Event, EventId};
use crate::model::page::Cursor;

/// Starts the cursors that tell every position.
const EXACT: u8 = b'e';
/// Starts those that tell a moment and the positions beyond it.
const SHORT: u8 = b'm';
/// Before an event by this much, in milliseconds, everything of the same history has been heard: reads and messages
/// overtake each other by less.
const OVERTAKING: u64 = 1_000;
/// An event stands so many milliseconds after the moment it tells of, at most: an expiry is found that much later. One
/// that stands further ahead was appended by a clock that was wrong.
const FOUND_LATE: u64 = 60_000;

/// A position in each partition, which moves on event by event in whatever order they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPosition {
    partitions: Partitions,
    marks: Vec<Mark>,
}

impl FeedPosition {
    pub(in crate::store) fn new(partitions: Partitions, marks: Vec<Mark>) -> Self {
        Self { partitions, marks }
    }

    /// Where the one partition of a feed has come to this number.
    pub(in crate::store) fn at_number(number: u64) -> Self {
        let position = Position { millis: 0, number };
        let mark = Mark {
            position,
            last: position,
            ..Mark::default()
        };
        Self::new(Partitions::One, vec![mark])
    }

    /// The number that a cursor of a feed with one partition tells; none if no such feed made it.
    pub(in crate::store) fn number_of(cursor: &Cursor) -> Option<u64> {
        let number = cursor.position().strip_prefix(&[EXACT])?;
        Some(u64::from_be_bytes(number.try_into().ok()?))
    }

    /// Moves past an event; false if that was done before.
    pub fn pass(&mut self, event: &EventId) -> bool {
        let located = self.partitions.locate(event);
        located.is_some_and(|(partition, position)| self.pass_at(partition, position))
    }

    pub(in crate::store) fn pass_at(&mut self, partition: Partition, position: Position) -> bool {
        let mark = self.marks.get_mut(partition.0);
        // Events of a partition come in the order of their positions, also of one that was told to be settled.
        let Some(mark) = mark.filter(|mark| mark.last < position) else {
            return false;
        };
        mark.position = mark.position.max(position);
        mark.last = position;
        true
    }

    /// Everything that stands before this event was told, in all partitions.
    pub(in crate::store) fn told_before(&mut self, event: &EventId) {
        if let Some((_, position)) = self.partitions.locate(event) {
            for mark in &mut self.marks {
                mark.until = mark.until.max(position.millis.saturating_sub(1));
            }
        }
    }

    /// This event was told as it happened, after all that its server had appended before.
    pub(in crate::store) fn heard(&mut self, event: &Event) {
        let Some((partition, Position { millis, .. })) = self.partitions.locate(&event.id) else {
            return;
        };
        let at = event.fact.at.sort_key();
        let appended = if millis > at.saturating_add(FOUND_LATE) {
            at
        } else {
            millis
        };
        let history = self.marks.get(partition.0).and_then(|mark| mark.history);
        for mark in self.marks.iter_mut().filter(|mark| mark.history == history) {
            mark.until = mark.until.max(appended.saturating_sub(OVERTAKING));
        }
    }

    /// The moment up to which all was told of a partition that was read to its end when its server showed `now`.
    pub(in crate::store) fn settled(now: u64) -> u64 {
        now.saturating_sub(OVERTAKING)
    }

    /// The position as a cursor: the number of the one partition, or in the short form.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        match self.partitions {
            Partitions::One => self.exact(),
            Partitions::Shards => {
                let mut bytes = vec![SHORT];
                Short::of(&self.marks).put(&mut bytes);
                Cursor::new(bytes)
            }
        }
    }

    /// The position as a cursor that takes more room, and is exact whatever happens meanwhile.
    pub(in crate::store) fn exact(&self) -> Cursor {
        let mut bytes = vec![EXACT];
        match self.partitions {
            Partitions::One => {
                let number = self.marks.first().map_or(0, |mark| mark.position.number);
                bytes.extend(number.to_be_bytes());
            }
            Partitions::Shards => {
                let marks = self.marks.iter();
                let checkpoints = marks.map(|mark| Checkpoint::new(mark.position, mark.history));
                exact::put_all(&mut bytes, &checkpoints.collect::<Vec<_>>());
            }
        }
        Cursor::new(bytes)
    }
}

/// The position that a cursor tells, in a feed of several partitions.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) enum Place {
    Exact(Vec<Checkpoint>),
    Short(Short),
}

impl Place {
    /// None if no feed with these partitions made the cursor.
    pub(in crate::store) fn of(partitions: Partitions, cursor: &Cursor) -> Option<Self> {
        match cursor.position().split_first()? {
            (&EXACT, rest) => exact::take_all(rest, partitions.count()).map(Self::Exact),
            (&SHORT, rest) => Short::take(rest, partitions.count()).map(Self::Short),
            _ => None,
        }
    }

    /// Where it stands in a partition that has this history at present.
    pub(in crate::store) fn position(
        &self,
        partition: Partition,
        history: Option<History>,
    ) -> Position {
        match self {
            Self::Exact(checkpoints) => {
                let checkpoint = checkpoints.get(partition.0);
                checkpoint.copied().unwrap_or_default().position
            }
            Self::Short(short) => short.position(partition, history),
        }
    }

    /// Where to read a partition from. In another history than that of the position, events may stand before it that were
    /// never told.
    pub(in crate::store) fn read_from(
        &self,
        partition: Partition,
        history: Option<History>,
    ) -> Position {
        let position = self.position(partition, history);
        let known = history.is_some()
            && match self {
                Self::Exact(checkpoints) => checkpoints
                    .get(partition.0)
                    .is_some_and(|checkpoint| checkpoint.history == history),
                Self::Short(short) => short.knows(history),
            };
        if known {
            position
        } else {
            position.rewound(SKEW)
        }
    }

    /// The partitions that are not as they were when the cursor was made: events were added at or before its moment. `lasts`
    /// are the last events at or before the positions that were read from.
    pub(in crate::store) fn overtaken(
        &self,
        histories: &[Option<History>],
        lasts: &[Position],
    ) -> Vec<Partition> {
        match self {
            Self::Exact(_) => Vec::new(),
            Self::Short(short) => short.overtaken(histories, lasts),
        }
    }
}
