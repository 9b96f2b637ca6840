//! One part of the feed as far as this node has heard it. Each event names the one before it, so that none can be missed
//! unnoticed; what was missed is read from the stream, while events that come meanwhile wait.

use std::time::Duration;

use super::super::merge::Source;
use super::super::places::Place;
use super::message::Entry;
use crate::model::event::Fact;

/// Events that wait for a read; when there are more, another read follows.
const WAITING: usize = 64;

/// Events of a part, ready to be told.
pub(super) type Told = Vec<(Place, Fact)>;

/// How far a part was heard.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// The last event that was told, or where telling began. Nothing before the first read.
    last: Option<Place>,
    state: State,
    /// Counts the reads that were begun.
    reads: u64,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody listens.
    #[default]
    Deaf,
    /// What was missed is being read.
    Behind { waiting: Vec<Entry>, missed: bool },
    /// All is told that was heard.
    Whole,
}

/// A read that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) number: u64,
    /// Nothing: only where the stream ends is of interest.
    pub(super) after: Option<Place>,
}

/// Events before one that was heard were not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed;

/// What comes after a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It was given up meanwhile.
    Nothing,
    /// There is more.
    ReadOn,
    /// All is told.
    Whole,
}

impl Followed {
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    pub(super) fn deafen(&mut self) {
        self.state = State::Deaf;
    }

    /// Goes back: in another history there may be other events at earlier places.
    pub(super) fn rewind(&mut self, by: Duration) {
        self.last = self.last.map(|last| last.rewound(by));
    }

    /// From now on what is missing is read.
    pub(super) fn read(&mut self) -> Read {
        self.reads += 1;
        self.state = State::Behind {
            waiting: Vec::new(),
            missed: false,
        };
        Read {
            number: self.reads,
            after: self.last,
        }
    }

    /// Whether a read is the last that was begun, and still wanted.
    pub(super) fn wants(&self, read: Read) -> bool {
        matches!(self.state, State::Behind { .. }) && self.reads == read.number
    }

    /// Takes an event from the channel.
    pub(super) fn hear(&mut self, entry: Entry) -> Result<Told, Missed> {
        match &mut self.state {
            State::Deaf => Ok(Told::new()),
            State::Behind { waiting, missed } => {
                if waiting.len() < WAITING {
                    waiting.push(entry);
                } else {
                    *missed = true;
                }
                Ok(Told::new())
            }
            State::Whole => {
                let mut told = Told::new();
                self.append(entry, &mut told).map(|()| told)
            }
        }
    }

    /// An event that was told before is left out. The first of a stream is always told: streams may begin anew.
    fn append(&mut self, entry: Entry, told: &mut Told) -> Result<(), Missed> {
        let last = self.last.unwrap_or_default();
        match entry.previous {
            Some(_) if entry.place <= last => return Ok(()),
            Some(previous) if previous > last => return Err(Missed),
            Some(_) | None => {}
        }
        self.last = Some(entry.place);
        told.extend(entry.fact.map(|fact| (entry.place, fact)));
        Ok(())
    }

    /// Takes what was read.
    pub(super) fn catch_up(
        &mut self,
        read: Read,
        source: Source,
        rewind: Duration,
    ) -> (Told, After) {
        let mut told = Told::new();
        if !self.wants(read) {
            return (told, After::Nothing);
        }
        let State::Behind { waiting, missed } = std::mem::take(&mut self.state) else {
            return (told, After::Nothing);
        };
        let newest = source.newest.unwrap_or_default();
        let lost = read.after.is_some_and(|after| newest < after);
        match read.after {
            None => self.last = Some(newest),
            // The stream has lost its end, or has gone.
            Some(_) if lost => self.last = Some(newest.rewound(rewind)),
            Some(_) => {
                for (place, fact) in source.entries {
                    self.last = Some(place);
                    told.extend(fact.map(|fact| (place, fact)));
                }
            }
        }
        let more = read.after.is_some() && source.open || lost && newest != Place::default();
        if more || missed || !self.append_all(waiting, &mut told) {
            return (told, After::ReadOn);
        }
        self.state = State::Whole;
        (told, After::Whole)
    }

    fn append_all(&mut self, waiting: Vec<Entry>, told: &mut Told) -> bool {
        waiting
            .into_iter()
            .all(|entry| self.append(entry, told).is_ok())
    }
}
