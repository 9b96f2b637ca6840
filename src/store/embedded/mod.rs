//! The embedded store: one durable file, or memory, and no server. It is the reference implementation of the contract.
//!
//! Acknowledged means on the disk: one thread writes in groups, and everybody in a group is answered after its one
//! sync. Reads run beside it on snapshots. What expires is judged by the clock on every read; a stored record may
//! outlive its session until something that writes meets it.

use std::fmt;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redb::{ReadTransaction, StorageBackend};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::model::record::SessionRecord;
use crate::rules::terms::Terms;
use crate::store::node::Listeners;
use crate::store::node::activity::ActivityBuffer;
use crate::store::{StoreError, Stores};

mod backup;
mod bans;
mod bulk;
mod check;
mod engine;
mod feed;
mod format1;
mod group;
mod idempotency;
mod job;
mod keyring;
mod lists;
mod locks;
mod look;
mod marks;
mod open;
mod open_error;
mod overlay;
mod owners;
mod plans;
mod profiles;
mod record;
mod reserve;
mod restore;
mod room;
mod rows;
mod services;
mod sessions;
mod stats;
mod stored;
mod sweep;
mod tables;
mod throttles;
mod txn;
mod verify;
mod volume;
mod wall_clock;
mod writer;

pub use check::Checkup;
use engine::Engine;
use marks::Marks;
pub use open_error::OpenError;
pub use restore::{RestoreError, Restored, RestoredSessions};
use tables::FORMAT;
use writer::Writer;

/// How long anybody waits for this store.
const DEADLINE: Duration = Duration::from_secs(5);

/// Long reads that run at a time; more wait, within their deadline.
const SCANS: usize = 4;

/// What the embedded store needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// Without activity for this long, an active session is shown as idle.
    pub idle_after: Duration,
    /// How long an ended session is told of, from its end.
    pub tombstone_retention: Duration,
    /// How long events are kept.
    pub event_retention: Duration,
    /// The longest time between a use of a session and its being written.
    pub touch_interval: Duration,
    /// Bytes of the disk that only endings, sweeping and uses may take; none is a part of its size.
    pub reserve: Option<u64>,
}

/// The store behind `embedded:DIR` and `memory:`.
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    writer: Writer,
    scans: Arc<Semaphore>,
    backups: Arc<Semaphore>,
}

/// What readers and the writer share.
struct Shared {
    engine: Engine,
    on_disk: bool,
    settings: EmbeddedSettings,
    clock: Arc<dyn Clock>,
    activity: ActivityBuffer,
    marks: Marks,
    listeners: Listeners,
    writes_stopped: AtomicBool,
}

impl EmbeddedStore {
    /// Opens the store in `dir`, which is made if it is not there. No other process can open it meanwhile.
    pub fn open(
        dir: &Path,
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Stores, OpenError> {
        let engine = open::file(dir, settings.reserve, FORMAT)?;
        Self::start(engine, true, settings, clock)
    }

    /// A store that forgets everything with its process.
    pub fn in_memory(
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Stores, OpenError> {
        Self::start(open::memory(FORMAT)?, false, settings, clock)
    }

    /// Opens the store in storage of the caller's making, as if it were a disk; clones of it are the same.
    pub fn on_backend(
        backend: impl StorageBackend + Clone,
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Stores, OpenError> {
        Self::start(open::backend(backend, FORMAT)?, true, settings, clock)
    }

    /// Judges the file in `dir`, which nobody may have open, and leaves it as it is.
    pub fn check_file(dir: &Path) -> Result<Checkup, OpenError> {
        check::check(dir)
    }

    /// Fills the empty store in `dir`, which is made if it is not there, from a backup.
    pub fn restore(
        dir: &Path,
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
        backup: &mut impl BufRead,
        sessions: RestoredSessions,
    ) -> Result<Restored, RestoreError> {
        let engine = open::file(dir, settings.reserve, FORMAT)?;
        let shared = Shared::new(engine, true, settings, clock)?;
        restore::restore(&shared, backup, sessions)
    }

    fn start(
        engine: Engine,
        on_disk: bool,
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Stores, OpenError> {
        let shared = Arc::new(Shared::new(engine, on_disk, settings, clock)?);
        let writer = Writer::start(Arc::clone(&shared)).map_err(OpenError::Thread)?;
        let store = Arc::new(Self {
            shared,
            writer,
            scans: Arc::new(Semaphore::new(SCANS)),
            backups: Arc::new(Semaphore::new(1)),
        });
        Ok(Stores {
            backups: Some(Arc::<Self>::clone(&store)),
            ..Stores::of(&store)
        })
    }
}

impl Shared {
    fn new(
        engine: Engine,
        on_disk: bool,
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        owners::ensure(&engine).map_err(OpenError::Record)?;
        let read = engine.begin_read().map_err(OpenError::Record)?;
        Ok(Self {
            marks: Marks::load(&read).map_err(OpenError::Record)?,
            engine,
            on_disk,
            settings,
            clock,
            activity: ActivityBuffer::new(settings.touch_interval),
            listeners: Listeners::default(),
            writes_stopped: AtomicBool::new(false),
        })
    }

    /// Puts into a record what is known of its session and still to be written.
    fn overlay(&self, record: &mut SessionRecord) {
        self.activity.overlay(record);
        self.marks.overlay(record, || self.now());
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.engine.begin_read()
    }

    fn writes_stopped(&self) -> bool {
        self.writes_stopped.load(Ordering::Acquire)
    }

    fn stop_writes(&self) {
        self.writes_stopped.store(true, Ordering::Release);
    }

    fn terms(&self, now: Timestamp) -> Terms {
        Terms {
            now,
            idle_after: self.settings.idle_after,
            tombstone_retention: self.settings.tombstone_retention,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("engine", &self.engine)
            .field("on_disk", &self.on_disk)
            .field("settings", &self.settings)
            .field("writes_stopped", &self.writes_stopped)
            .finish_non_exhaustive()
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        unavailable(error)
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        unavailable(error)
    }
}
