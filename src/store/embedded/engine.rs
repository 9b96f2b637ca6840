//! The storage engine, which can be opened again in place: after a write that failed for want of room it refuses all
//! else, though the file is as it was.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use thiserror::Error;

use super::open_error::OpenError;
use super::unavailable;
use super::volume::{Fault, Volume};
use crate::store::StoreError;
use crate::telemetry::panics::contain;

/// How the file is opened another time.
type Open = dyn Fn(&Arc<Volume>) -> Result<Database, OpenError> + Send + Sync;

pub(super) struct Engine {
    /// None while it could not be opened again.
    db: RwLock<Option<Database>>,
    open: Box<Open>,
    volume: Arc<Volume>,
    openings: AtomicU64,
}

/// It could not be opened again so far.
#[derive(Debug, Error)]
#[error("the storage engine is not open")]
struct NotOpen;

impl Engine {
    pub(super) fn new(db: Database, volume: Arc<Volume>, open: Box<Open>) -> Self {
        Self {
            db: RwLock::new(Some(db)),
            open,
            volume,
            openings: AtomicU64::new(0),
        }
    }

    pub(super) fn volume(&self) -> &Volume {
        &self.volume
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or_else(|| unavailable(NotOpen))?;
        db.begin_read().map_err(unavailable)
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or_else(|| unavailable(NotOpen))?;
        db.begin_write().map_err(unavailable)
    }

    /// How often it was opened again.
    pub(super) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Acquire)
    }

    /// Whether a read that began when it had been opened so often may have failed only because it is opened again.
    pub(super) fn opens_again_since(&self, openings: u64) -> bool {
        self.openings() != openings || self.volume.fault() == Some(Fault::NoRoom)
    }

    /// Opens the file if it could not be opened again before.
    pub(super) fn ensure_open(&self) -> Result<(), OpenError> {
        let is_open = {
            let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
            db.is_some()
        };
        if is_open { Ok(()) } else { self.open_again() }
    }

    /// Opens the file as it was last committed. Reads that are under way fail; those that begin wait.
    pub(super) fn open_again(&self) -> Result<(), OpenError> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let former = db.take();
        // It is closed, in whatever state a failure left it.
        contain(|| drop(former)).map_err(OpenError::Panicked)?;
        *db = Some((self.open)(&self.volume)?);
        self.openings.fetch_add(1, Ordering::AcqRel);
        self.volume.forget_fault();
        Ok(())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("volume", &self.volume)
            .field("openings", &self.openings)
            .finish_non_exhaustive()
    }
}
