//! Places in the feed: one in the stream of each shard and one in that of the services.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::keys::SERVICES;
use super::link::Slot;
use crate::model::Timestamp;
use crate::model::event::EventId;
use crate::model::page::Cursor;
use crate::store::Part;

/// The streams of the feed: one a shard, and that of the services.
pub(super) const STREAMS: usize = 257;
/// How far apart the clocks of masters may be. Before the present by this much a quiet stream gets no more events.
pub(super) const SKEW: Duration = Duration::from_secs(15 * 60);
/// Starts the cursors of the feed.
const CURSOR: u8 = b'e';
/// How event ids name the stream of the services, and its hash tag.
const SERVICES_NAME: &str = "services";

/// The slot of a stream.
pub(super) fn slot(stream: usize) -> Slot {
    u8::try_from(stream).map_or(SERVICES, Slot::Shard)
}

/// The stream of a part of the feed.
pub(super) fn stream_of(part: Part) -> usize {
    match part {
        Part::Shard(shard) => usize::from(shard),
        Part::Services => STREAMS - 1,
    }
}

/// The part of the feed that a stream is.
pub(super) fn part(stream: usize) -> Part {
    u8::try_from(stream).map_or(Part::Services, Part::Shard)
}

/// The id of an entry in a stream: a moment in ms and a number. Zero is before all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    pub(super) millis: u64,
    pub(super) number: u64,
}

impl Place {
    /// The first place of a moment.
    pub(super) fn at(moment: Timestamp) -> Self {
        Self {
            millis: moment.sort_key(),
            number: 0,
        }
    }

    /// The first place of a moment before this one.
    pub(super) fn rewound(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self {
            millis: self.millis.saturating_sub(by),
            number: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

/// A text that is no place.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (millis, number) = text.split_once('-').ok_or(NoPlace)?;
        let place = Self {
            millis: millis.parse().map_err(|_error| NoPlace)?,
            number: number.parse().map_err(|_error| NoPlace)?,
        };
        // One place has one text.
        (place.to_string() == text).then_some(place).ok_or(NoPlace)
    }
}

/// The name of an event: its stream and its place there.
pub(super) fn event_id(stream: usize, place: Place) -> Option<EventId> {
    let text = match u8::try_from(stream) {
        Ok(shard) => format!("{shard:02x}-{place}"),
        Err(_beyond_the_shards) => format!("{SERVICES_NAME}-{place}"),
    };
    EventId::parse(&text).ok()
}

/// The stream and place that an event's name tells.
pub(super) fn place_of(id: &EventId) -> Option<(usize, Place)> {
    let (stream, place) = id.as_str().split_once('-')?;
    Some((stream_named(stream)?, place.parse().ok()?))
}

/// The stream with this hash tag.
pub(super) fn stream_named(tag: &str) -> Option<usize> {
    if tag == SERVICES_NAME {
        return Some(STREAMS - 1);
    }
    let shard = u8::from_str_radix(tag, 16).ok()?;
    (tag == format!("{shard:02x}")).then_some(usize::from(shard))
}

/// Tells histories of masters apart, in four bytes: the first of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct History([u8; 4]);

impl History {
    /// Of the master with this replication id.
    pub(super) fn of(replication_id: &str) -> Self {
        let [a, b, c, d, ..] = Sha256::digest(replication_id).0;
        Self([a, b, c, d])
    }
}

/// A place in a stream, and whose history it is a place in, if that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bookmark {
    pub(super) place: Place,
    pub(super) history: Option<History>,
}

/// A cursor for a place in each stream: the histories there are; then for each stream the moment, counted from the
/// earliest, the number, and which of the histories, in numbers of few bytes.
pub(super) fn encode(marks: &[Bookmark]) -> Cursor {
    let moments = marks.iter().map(|mark| mark.place.millis);
    let earliest = moments.filter(|millis| *millis > 0).min().unwrap_or(1);
    let mut histories: Vec<History> = Vec::new();
    for history in marks.iter().filter_map(|mark| mark.history) {
        if !histories.contains(&history) {
            histories.push(history);
        }
    }
    let mut bytes = vec![CURSOR];
    bytes.extend(earliest.to_be_bytes());
    put(&mut bytes, u64::try_from(histories.len()).unwrap_or(0));
    bytes.extend(histories.iter().flat_map(|history| history.0));
    for mark in marks {
        put(&mut bytes, (mark.place.millis + 1).saturating_sub(earliest));
        put(&mut bytes, mark.place.number);
        let which = histories
            .iter()
            .position(|known| Some(*known) == mark.history);
        let which = which.and_then(|at| u64::try_from(at + 1).ok());
        put(&mut bytes, which.unwrap_or(0));
    }
    Cursor::new(bytes)
}

/// The places of a cursor that [`encode`] made.
pub(super) fn decode(cursor: &Cursor) -> Option<Vec<Bookmark>> {
    let rest = cursor.place().strip_prefix(&[CURSOR])?;
    let (earliest, mut rest) = rest.split_first_chunk::<8>()?;
    let earliest = u64::from_be_bytes(*earliest);
    let count = usize::try_from(take(&mut rest)?).ok()?;
    let (histories, mut rest) = rest.split_at_checked(count.checked_mul(4)?)?;
    let (histories, _) = histories.as_chunks::<4>();
    let mut marks = Vec::with_capacity(STREAMS);
    for _stream in 0..STREAMS {
        let (since, number) = (take(&mut rest)?, take(&mut rest)?);
        let millis = match since {
            0 => 0,
            since => earliest.checked_add(since)?.checked_sub(1)?,
        };
        let history = match take(&mut rest)? {
            0 => None,
            which => Some(History(*histories.get(usize::try_from(which - 1).ok()?)?)),
        };
        marks.push(Bookmark {
            place: Place { millis, number },
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
    fn a_cursor_keeps_every_place_and_its_history() {
        let mut marks = vec![Bookmark::default(); STREAMS];
        marks[3] = Bookmark {
            place: Place {
                millis: 1_800_000_000_000,
                number: 7,
            },
            history: Some(History::of("first")),
        };
        marks[256] = Bookmark {
            place: Place {
                millis: 1_800_604_800_000,
                number: 300,
            },
            history: Some(History::of("second")),
        };
        let cursor = encode(&marks);
        assert_eq!(decode(&cursor), Some(marks));
        assert_eq!(decode(&Cursor::new(b"e12345678".to_vec())), None);
        let empty = vec![Bookmark::default(); STREAMS];
        assert_eq!(decode(&encode(&empty)), Some(empty));
    }

    #[test]
    fn a_cursor_fits_whatever_the_places_are() {
        let marks = (0..STREAMS as u64).map(|stream| Bookmark {
            place: Place {
                millis: 1_800_000_000_000 + (stream << 34),
                number: u64::from(u32::MAX),
            },
            history: Some(History::of(&stream.to_string())),
        });
        let cursor = encode(&marks.collect::<Vec<_>>());
        assert!(Cursor::parse(&cursor.encode()).is_some());
    }

    #[test]
    fn an_event_tells_its_place() {
        let place = Place {
            millis: 1_800_000_000_000,
            number: 2,
        };
        for stream in [0, 255, 256] {
            let id = event_id(stream, place).unwrap();
            assert_eq!(place_of(&id), Some((stream, place)));
        }
        for text in ["never", "ffffffffffffffff", "7f-01-0", "7F-1-0", "100-1-0"] {
            assert_eq!(place_of(&EventId::parse(text).unwrap()), None, "{text}");
        }
    }
}
