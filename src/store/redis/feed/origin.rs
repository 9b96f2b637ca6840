//! Where a page of the feed begins, and whether that is still kept.

use std::time::Duration;

use super::super::streams::PARTITIONS;
use crate::model::event::FeedStart;
use crate::rules::refusal::Refusal;
use crate::store::Partition;
use crate::store::node::tail::PartitionPage;
use crate::store::position::{History, Place, Position};

/// From an event on, other streams are read from this much before it.
const MARGIN: Duration = Duration::from_secs(10);

pub(super) enum Origin {
    Oldest,
    After(Partition, Position),
    At(Place),
}

impl Origin {
    pub(super) fn of(from: &FeedStart) -> Result<Self, Refusal> {
        let known = match from {
            FeedStart::Start => Some(Self::Oldest),
            FeedStart::AfterEvent(id) => PARTITIONS
                .locate(id)
                .map(|(stream, position)| Self::After(stream, position)),
            FeedStart::At(cursor) => Place::of(PARTITIONS, cursor).map(Self::At),
        };
        known.ok_or(Refusal::CursorInvalid)
    }

    /// Where to read a stream from that has this history at present.
    pub(super) fn read_from(&self, stream: Partition, history: Option<History>) -> Position {
        match self {
            Self::Oldest => Position::default(),
            Self::After(own, position) if *own == stream => *position,
            Self::After(_, position) => position.rewound(MARGIN),
            Self::At(place) => place.read_from(stream, history),
        }
    }

    /// The streams to which events were added before the place, when these are the last that stand there or before.
    pub(super) fn overtaken(
        &self,
        histories: &[Option<History>],
        lasts: &[Position],
    ) -> Vec<Partition> {
        match self {
            Self::Oldest | Self::After(..) => Vec::new(),
            Self::At(place) => place.overtaken(histories, lasts),
        }
    }

    /// Whether the page may begin here, as far as one stream can tell.
    pub(super) fn check(
        &self,
        source: &PartitionPage,
        history: Option<History>,
        kept: Duration,
    ) -> Result<(), Refusal> {
        let gone = |position: Position| source.over.is_some_and(|over| position < over);
        let expired = match self {
            Self::Oldest => false,
            Self::After(own, position) if *own == source.partition => {
                let kept_since = source.now.minus(kept).sort_key();
                let known = source.newest.is_some_and(|newest| *position <= newest);
                if !known && position.millis > kept_since {
                    return Err(Refusal::CursorInvalid);
                }
                !known || gone(*position)
            }
            Self::After(own, position) => source
                .over
                .is_some_and(|over| (over, source.partition) > (*position, *own)),
            // A stream is dropped when it was quiet for twice as long as events are kept.
            Self::At(place) => {
                let position = place.position(source.partition, history);
                let dropped = source.now.minus(2 * kept).sort_key();
                gone(position) || source.newest.is_none() && position.millis < dropped
            }
        };
        if expired {
            Err(Refusal::CursorExpired)
        } else {
            Ok(())
        }
    }
}
