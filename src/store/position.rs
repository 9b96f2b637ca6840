//! Partitions of the feed and positions in it, as data.
//!
//! An engine declares how many partitions its feed has; each keeps its events in one order. A position in the feed is a
//! position in each of them, and a cursor is its text. Names of events tell their partition and their position there.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::event::{EventId, Fact};
use crate::model::id::{LoginId, SessionId};
use crate::model::page::Cursor;
use crate::model::{InvalidText, Timestamp};

/// Starts the cursors of the feed.
const CURSOR: u8 = b'e';
/// How event ids name the partition of the services.
const SERVICES: &str = "services";

/// One partition, by its number: its events are in one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub usize);

/// How an engine cuts its feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitions {
    /// Not at all.
    One,
    /// Each shard of the logins is one, and the services are the last.
    Shards,
}

impl Partitions {
    /// How many there are.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Shards => 257,
        }
    }

    /// All of them.
    pub fn all(self) -> impl Iterator<Item = Partition> {
        (0..self.count()).map(Partition)
    }

    /// Where a session is told of.
    #[must_use]
    pub fn of_session(self, session_id: SessionId) -> Partition {
        let [.., shard] = *session_id.as_bytes();
        self.of_shard(shard)
    }

    /// Where a login is told of.
    #[must_use]
    pub fn of_login(self, login_id: &LoginId) -> Partition {
        match self {
            Self::One => Partition(0),
            Self::Shards => self.of_shard(login_id.shard()),
        }
    }

    /// Where services are told of.
    #[must_use]
    pub const fn of_services(self) -> Partition {
        Partition(self.count() - 1)
    }

    /// Where this is told.
    #[must_use]
    pub fn of_fact(self, fact: &Fact) -> Partition {
        match (fact.session_id, &fact.login_id) {
            (Some(session_id), _) => self.of_session(session_id),
            (None, Some(login_id)) => self.of_login(login_id),
            (None, None) => self.of_services(),
        }
    }

    fn of_shard(self, shard: u8) -> Partition {
        match self {
            Self::One => Partition(0),
            Self::Shards => Partition(usize::from(shard)),
        }
    }

    /// The name of the event at a position.
    pub(super) fn event_id(
        self,
        partition: Partition,
        position: Position,
    ) -> Result<EventId, InvalidText> {
        EventId::parse(&match (self, u8::try_from(partition.0)) {
            (Self::One, _) => format!("{:016x}", position.number),
            (Self::Shards, Ok(shard)) => format!("{shard:02x}-{position}"),
            (Self::Shards, Err(_beyond)) => format!("{SERVICES}-{position}"),
        })
    }

    /// The partition and the position that an event's name tells.
    pub(super) fn locate(self, id: &EventId) -> Option<(Partition, Position)> {
        let text = id.as_str();
        match self {
            Self::One => {
                let number = u64::from_str_radix(text, 16).ok()?;
                let position = Position { millis: 0, number };
                // One position has one name.
                (format!("{number:016x}") == text).then_some((Partition(0), position))
            }
            Self::Shards => {
                let (name, position) = text.split_once('-')?;
                Some((self.named(name)?, position.parse().ok()?))
            }
        }
    }

    /// The partition that event ids name so.
    pub(super) fn named(self, name: &str) -> Option<Partition> {
        if name == SERVICES {
            return Some(self.of_services());
        }
        let shard = u8::from_str_radix(name, 16).ok()?;
        (name == format!("{shard:02x}")).then(|| self.of_shard(shard))
    }
}

/// A position in a partition: a moment in ms and a number, or only the number. Zero is before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Position {
    pub(super) millis: u64,
    pub(super) number: u64,
}

impl Position {
    /// The first position of a moment.
    pub(super) fn at(moment: Timestamp) -> Self {
        Self {
            millis: moment.sort_key(),
            number: 0,
        }
    }

    /// The first position of a moment before this one.
    pub(super) fn rewound(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self {
            millis: self.millis.saturating_sub(by),
            number: 0,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (millis, number) = text.split_once('-').ok_or(InvalidPosition)?;
        let position = Self {
            millis: millis.parse().map_err(|_error| InvalidPosition)?,
            number: number.parse().map_err(|_error| InvalidPosition)?,
        };
        // One position has one text.
        (position.to_string() == text)
            .then_some(position)
            .ok_or(InvalidPosition)
    }
}

/// Tells histories of servers apart, in four bytes: the first of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct History([u8; 4]);

impl History {
    /// Of the server that names it so.
    pub(super) fn of(name: &str) -> Self {
        let [a, b, c, d, ..] = Sha256::digest(name).0;
        Self([a, b, c, d])
    }
}

/// A position in a partition, and whose history it is a position in, if that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Checkpoint {
    pub(super) position: Position,
    pub(super) history: Option<History>,
}

/// A position in each partition, which moves on event by event in whatever order they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPosition {
    partitions: Partitions,
    marks: Vec<Checkpoint>,
}

impl FeedPosition {
    pub(super) fn new(partitions: Partitions, marks: Vec<Checkpoint>) -> Self {
        Self { partitions, marks }
    }

    /// Where the one partition of a feed has come to this number.
    pub(super) fn at_number(number: u64) -> Self {
        let position = Position { millis: 0, number };
        let mark = Checkpoint {
            position,
            history: None,
        };
        Self::new(Partitions::One, vec![mark])
    }

    /// The number that the one partition of a feed has come to.
    pub(super) fn number(&self) -> u64 {
        self.marks.first().map_or(0, |mark| mark.position.number)
    }

    pub(super) fn into_marks(self) -> Vec<Checkpoint> {
        self.marks
    }

    /// Moves past an event; false if that was done before.
    pub fn pass(&mut self, event: &EventId) -> bool {
        let Some((partition, position)) = self.partitions.locate(event) else {
            return false;
        };
        let mark = self.marks.get_mut(partition.0);
        let Some(mark) = mark.filter(|mark| mark.position < position) else {
            return false;
        };
        mark.position = position;
        true
    }

    /// The position as a cursor: a number, or the histories there are, then for each partition the moment, counted from
    /// the earliest, the number, and which of the histories, in numbers of few bytes.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let mut bytes = vec![CURSOR];
        match self.partitions {
            Partitions::One => bytes.extend(self.number().to_be_bytes()),
            Partitions::Shards => put_marks(&mut bytes, &self.marks),
        }
        Cursor::new(bytes)
    }

    /// The position that a cursor tells; none if no feed with these partitions made it.
    #[must_use]
    pub fn of(partitions: Partitions, cursor: &Cursor) -> Option<Self> {
        let rest = cursor.position().strip_prefix(&[CURSOR])?;
        match partitions {
            Partitions::One => Some(Self::at_number(u64::from_be_bytes(rest.try_into().ok()?))),
            Partitions::Shards => {
                Some(Self::new(partitions, take_marks(rest, partitions.count())?))
            }
        }
    }
}

fn put_marks(bytes: &mut Vec<u8>, marks: &[Checkpoint]) {
    let moments = marks.iter().map(|mark| mark.position.millis);
    let earliest = moments.filter(|millis| *millis > 0).min().unwrap_or(1);
    let mut histories: Vec<History> = Vec::new();
    for history in marks.iter().filter_map(|mark| mark.history) {
        if !histories.contains(&history) {
            histories.push(history);
        }
    }
    bytes.extend(earliest.to_be_bytes());
    put(bytes, u64::try_from(histories.len()).unwrap_or(0));
    bytes.extend(histories.iter().flat_map(|history| history.0));
    for mark in marks {
        put(
            bytes,
            mark.position
                .millis
                .saturating_add(1)
                .saturating_sub(earliest),
        );
        put(bytes, mark.position.number);
        let which = histories
            .iter()
            .position(|known| Some(*known) == mark.history);
        let which = which.and_then(|at| u64::try_from(at + 1).ok());
        put(bytes, which.unwrap_or(0));
    }
}

fn take_marks(rest: &[u8], count: usize) -> Option<Vec<Checkpoint>> {
    let (earliest, mut rest) = rest.split_first_chunk::<8>()?;
    let earliest = u64::from_be_bytes(*earliest);
    let known = usize::try_from(take(&mut rest)?).ok()?;
    let (histories, mut rest) = rest.split_at_checked(known.checked_mul(4)?)?;
    let (histories, _) = histories.as_chunks::<4>();
    let mut marks = Vec::with_capacity(count);
    for _partition in 0..count {
        let (since, number) = (take(&mut rest)?, take(&mut rest)?);
        let millis = match since {
            0 => 0,
            since => earliest.checked_add(since)?.checked_sub(1)?,
        };
        let history = match take(&mut rest)? {
            0 => None,
            which => Some(History(*histories.get(usize::try_from(which - 1).ok()?)?)),
        };
        marks.push(Checkpoint {
            position: Position { millis, number },
            history,
        });
    }
    rest.is_empty().then_some(marks)
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_keeps_every_position_and_its_history() {
        let mut marks = vec![Checkpoint::default(); Partitions::Shards.count()];
        marks[3] = Checkpoint {
            position: Position {
                millis: 1_800_000_000_000,
                number: 7,
            },
            history: Some(History::of("first")),
        };
        marks[256] = Checkpoint {
            position: Position {
                millis: 1_800_604_800_000,
                number: 300,
            },
            history: Some(History::of("second")),
        };
        let position = FeedPosition::new(Partitions::Shards, marks);
        let cursor = position.cursor();
        let decode = |cursor: &Cursor| FeedPosition::of(Partitions::Shards, cursor);
        assert_eq!(decode(&cursor), Some(position));
        assert_eq!(decode(&Cursor::new(b"e12345678".to_vec())), None);
        let empty = vec![Checkpoint::default(); Partitions::Shards.count()];
        let empty = FeedPosition::new(Partitions::Shards, empty);
        assert_eq!(decode(&empty.cursor()), Some(empty));
    }

    #[test]
    fn a_cursor_fits_whatever_the_places_are() {
        let marks = (0..257_u64).map(|stream| Checkpoint {
            position: Position {
                millis: 1_800_000_000_000 + (stream << 34),
                number: u64::from(u32::MAX),
            },
            history: Some(History::of(&stream.to_string())),
        });
        let cursor = FeedPosition::new(Partitions::Shards, marks.collect()).cursor();
        assert!(Cursor::parse(&cursor.encode()).is_some());
    }

    #[test]
    fn an_event_tells_its_position() {
        let position = Position {
            millis: 1_800_000_000_000,
            number: 2,
        };
        let shards = Partitions::Shards;
        for partition in [0, 255, 256].map(Partition) {
            let id = shards.event_id(partition, position).unwrap();
            assert_eq!(shards.locate(&id), Some((partition, position)));
        }
        for text in ["never", "ffffffffffffffff", "7f-01-0", "7F-1-0", "100-1-0"] {
            assert_eq!(
                shards.locate(&EventId::parse(text).unwrap()),
                None,
                "{text}"
            );
        }
    }
}
