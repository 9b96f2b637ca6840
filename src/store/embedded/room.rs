//! What may be written while room is scarce: what ends and tidies up comes first and may spend the reserve; what keeps
//! more may not, and is tried again in a while after it found no room.

use std::io;
use std::time::{Duration, Instant};

use super::reserve::{PIECE, Reserve};
use super::volume::{Room, Volume};
use crate::model::health::{Risk, StoreWarning};

/// How long nothing of a kind is tried after it found no room. A try costs another opening of the file.
const PAUSE: Duration = Duration::from_secs(1);

/// Of the room that is not reserved, the part in percent from which on operators are warned.
const NEARLY: u64 = 90;

/// What a write is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It keeps more than there was.
    Keep,
    /// It ends, sweeps, purges or notes uses: what is kept becomes less, or no more.
    Release,
}

/// How the writes of a round go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// All in one group.
    Together,
    /// In a group for each purpose.
    Apart,
}

/// When each kind of write is tried again.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    keep: Option<Instant>,
    release: Option<Instant>,
}

impl Shortage {
    pub(super) fn course(&mut self, volume: &Volume) -> Course {
        match volume.room() {
            Room::Plenty => {
                *self = Self::default();
                volume.set_full(false);
                Course::Together
            }
            Room::Unknown if self.keep.is_none() && self.release.is_none() => Course::Together,
            Room::Unknown | Room::Scarce => Course::Apart,
        }
    }

    /// Whether writes of a kind are tried now.
    pub(super) fn tries(&self, purpose: Purpose, volume: &Volume) -> bool {
        let is_over = |pause: Option<Instant>| pause.is_none_or(|until| Instant::now() >= until);
        match purpose {
            Purpose::Release => is_over(self.release),
            Purpose::Keep => is_over(self.keep) && volume.reserves_enough(),
        }
    }

    pub(super) fn found_none(&mut self, purpose: Purpose, volume: &Volume) {
        *self.pause(purpose) = Some(Instant::now() + PAUSE);
        volume.set_full(true);
    }

    pub(super) fn found_room(&mut self, purpose: Purpose, volume: &Volume) {
        *self.pause(purpose) = None;
        match purpose {
            Purpose::Keep => volume.set_full(false),
            Purpose::Release => {}
        }
    }

    fn pause(&mut self, purpose: Purpose) -> &mut Option<Instant> {
        match purpose {
            Purpose::Keep => &mut self.keep,
            Purpose::Release => &mut self.release,
        }
    }
}

/// What an operator should know of the room there is.
pub(super) fn warning(volume: &Volume) -> io::Result<Option<StoreWarning>> {
    if volume.is_full() {
        return Ok(Some(StoreWarning {
            code: Risk::StoreFull,
            detail: "the file system of the store is full: sessions are read and end, but nothing more is kept; make \
                     room, and it goes on by itself"
                .to_owned(),
        }));
    }
    match volume.reserve() {
        Some(reserve) => nearly_full(reserve),
        None => Ok(None),
    }
}

fn nearly_full(reserve: &Reserve) -> io::Result<Option<StoreWarning>> {
    let space = reserve.space()?;
    let usable = space.total.saturating_sub(reserve.size());
    let missing = reserve.size().saturating_sub(reserve.len());
    let left = space.available.saturating_sub(missing);
    let used = usable.saturating_sub(left);
    let percent = used.saturating_mul(100) / usable.max(1);
    Ok((percent >= NEARLY).then(|| StoreWarning {
        code: Risk::StoreNearlyFull,
        detail: format!(
            "the file system of the store is {percent} % full, without the {} MiB that are reserved for endings \
             (SGW_STORE_RESERVE); {} MiB are left",
            reserve.size() / PIECE,
            left / PIECE
        ),
    }))
}
