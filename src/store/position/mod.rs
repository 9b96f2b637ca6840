//! Partitions of the feed and positions in it, as data.
//!
//! An engine declares how many partitions its feed has; each keeps its events in one order. A position in the feed is a
//! position in each of them (`feed`). Its text is a cursor: `exact` with each position, which takes 1.7 KB, or `short`,
//! a moment that all partitions have passed and the positions beyond it. Names of events tell their partition and their
//! position there.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::event::{EventId, Fact};
use crate::model::id::{LoginId, SessionId};
use crate::model::{InvalidText, Timestamp};

mod exact;
mod feed;
mod mark;
mod numbers;
mod short;
#[cfg(test)]
mod tests;

pub use feed::FeedPosition;
pub(super) use feed::Place;
pub(super) use mark::Mark;

/// How far apart the clocks may be that tell the partitions of one feed the time. Before the present by this much a
/// quiet partition gets no more events.
pub(super) const SKEW: Duration = Duration::from_secs(15 * 60);
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
