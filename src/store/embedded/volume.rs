//! What the file of the store lies on. It stands below the storage engine, where it is seen why a write failed: for want
//! of room, after which the file is as it was, or for a reason after which nobody knows what is on the disk.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::locks::locks_of_file;

use super::reserve::Reserve;

/// Free room from which on nothing has to be done for its sake: a group of writes does not use it up.
const PLENTY: u64 = 32 << 20;

/// Why a write failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// There was no room. Nothing of it can have been committed: a commit is the last write, and then a sync.
    NoRoom,
    /// Anything else.
    Broken,
}

/// How much room there is, beside the reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// So much that nothing has to be done for its sake.
    Plenty,
    Scarce,
    /// Nobody can tell before a write fails.
    Unknown,
}

/// The room there is, and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Volume {
    reserve: Option<Reserve>,
    spends_reserve: AtomicBool,
    fault: Mutex<Option<Fault>>,
    full: AtomicBool,
}

impl Volume {
    pub(super) fn with_reserve(reserve: Reserve) -> Self {
        Self {
            reserve: Some(reserve),
            // Opening the file writes to it.
            spends_reserve: AtomicBool::new(true),
            ..Self::default()
        }
    }

    pub(super) fn reserve(&self) -> Option<&Reserve> {
        self.reserve.as_ref()
    }

    /// Whether writes from now on may use the reserve.
    pub(super) fn spend_reserve(&self, spends: bool) {
        self.spends_reserve.store(spends, Ordering::Release);
    }

    /// What went wrong since the last [`forget_fault`](Self::forget_fault).
    pub(super) fn fault(&self) -> Option<Fault> {
        *self.faults()
    }

    pub(super) fn forget_fault(&self) {
        *self.faults() = None;
    }

    fn faults(&self) -> MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, fault: Fault) {
        let mut noted = self.faults();
        if *noted != Some(Fault::Broken) {
            *noted = Some(fault);
        }
    }

    /// How much room there is. Takes what is missing of the reserve.
    pub(super) fn room(&self) -> Room {
        let Some(reserve) = &self.reserve else {
            return Room::Unknown;
        };
        match reserve
            .refill()
            .and_then(|whole| Ok((whole, reserve.space()?)))
        {
            Ok((true, space)) if space.available >= PLENTY => Room::Plenty,
            Ok(_) => Room::Scarce,
            Err(error) => {
                tracing::debug!(%error, "store.reserve");
                Room::Scarce
            }
        }
    }

    /// Whether enough is reserved that more may be kept.
    pub(super) fn reserves_enough(&self) -> bool {
        self.reserve.as_ref().is_none_or(Reserve::is_enough)
    }

    /// Takes note of whether more can be kept, and tells the log of each change.
    pub(super) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::AcqRel) == full {
            return;
        }
        if full {
            tracing::error!("store.full: only endings, sweeping and uses are written");
        } else {
            tracing::info!("store.has_room");
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Makes a write, with room from the reserve if it lacks some and may have it.
    fn write(&self, write: impl Fn() -> io::Result<()>) -> io::Result<()> {
        loop {
            let Err(error) = write() else {
                return Ok(());
            };
            if !is_want_of_room(&error) {
                self.note(Fault::Broken);
                return Err(error);
            }
            if !self.gives_room()? {
                self.note(Fault::NoRoom);
                return Err(error);
            }
        }
    }

    fn gives_room(&self) -> io::Result<bool> {
        match &self.reserve {
            Some(reserve) if self.spends_reserve.load(Ordering::Acquire) => reserve.give_back(),
            Some(_) | None => Ok(false),
        }
    }
}

fn is_want_of_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// A file, or what a test has in its place, on a volume.
#[derive(Debug)]
pub(super) struct VolumeFile {
    pub(super) file: Box<dyn StorageBackend>,
    pub(super) volume: Arc<Volume>,
}

impl StorageBackend for VolumeFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.volume.write(|| self.file.set_len(length))
    }

    /// What a sync leaves on the disk when it fails, for want of room too, nobody knows.
    fn sync_data(&self) -> io::Result<()> {
        let synced = self.file.sync_data();
        if synced.is_err() {
            self.volume.note(Fault::Broken);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.volume.write(|| self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    locks_of_file!();
}
