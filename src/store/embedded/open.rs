//! Opens the file of the store, or says in one line why not. A file of an older format is moved on, and a copy of it as
//! it was is kept until the next start.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend};

use super::engine::Engine;
use super::open_error::{OpenError, engine};
use super::record::decode;
use super::reserve::Reserve;
use super::tables::{EVENTS, SERVICES, create_all, has_all, stored_format};
use super::volume::{Volume, VolumeFile};
use crate::model::service::ServiceRecord;
use crate::store::StoreError;
use crate::telemetry::panics::contain;

/// The file in the store's directory that has everything.
pub(super) const FILE: &str = "sessions.redb";

/// How the file ends that holds room for when the disk is full.
const RESERVE: &str = "redb.reserve";

/// How the copy of a file ends that was moved on, and that of one which is being written.
const FORMER: &str = "redb.former";
const COPYING: &str = "redb.copying";

/// Pages kept in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Opens the file in `dir`, beside its reserve. All of it is made for its owner's eyes only if it is not there.
pub(super) fn file(dir: &Path, reserve: Option<u64>, newest: u64) -> Result<Engine, OpenError> {
    let path = dir.join(FILE);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(at(dir))?;
    let reserved = path.with_extension(RESERVE);
    let reserve = Reserve::open(&reserved, reserve).map_err(at(&reserved))?;
    let volume = Arc::new(Volume::with_reserve(reserve));
    let db = contained(|| moved_on(dir, &path, &volume, newest)).map_err(of_file(&path))?;
    let again = move |volume: &Arc<Volume>| database(&path, volume, Opening::Again);
    Ok(Engine::new(db, volume, Box::new(again)))
}

fn moved_on(
    dir: &Path,
    path: &Path,
    volume: &Arc<Volume>,
    newest: u64,
) -> Result<Database, OpenError> {
    let mut db = database(path, volume, Opening::First)?;
    // A file whose name is not on the disk is no file after a power cut.
    sync(dir)?;
    let former = path.with_extension(FORMER);
    match format_of(&db)? {
        Some(found) if found < newest => {
            // Closed, it is whole.
            drop(db);
            copy(path, &former)?;
            tracing::info!(found, newest, copy = %former.display(), "store.moves_on");
            db = database(path, volume, Opening::Again)?;
        }
        Some(found) if found == newest => remove(&former)?,
        // Whoever refuses a newer file leaves the copy, which may be put back.
        Some(_) | None => {}
    }
    let db = prepared(db, newest)?;
    probe(&db)?;
    Ok(db)
}

/// Reads what every start reads. It may be damaged though the engine has opened the file.
fn probe(db: &Database) -> Result<(), OpenError> {
    let read = db.begin_read().map_err(engine)?;
    let services = read.open_table(SERVICES).map_err(engine)?;
    for row in services.iter().map_err(engine)? {
        let (_, record) = row.map_err(engine)?;
        // Of one of a newer version whoever needs it says so.
        if let Err(damaged @ StoreError::Corrupt { .. }) = decode::<ServiceRecord>(record.value()) {
            return Err(OpenError::Record(damaged));
        }
    }
    let events = read.open_table(EVENTS).map_err(engine)?;
    events.last().map_err(engine)?;
    Ok(())
}

/// Bytes that the engine has not written may make it panic.
pub(super) fn contained<T>(open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    contain(open).unwrap_or_else(|panic| Err(OpenError::Panicked(panic)))
}

/// Names the file where the engine cannot read it.
pub(super) fn of_file(path: &Path) -> impl FnOnce(OpenError) -> OpenError {
    move |error| match error {
        OpenError::Engine(_) | OpenError::Panicked(_) | OpenError::Record(_) => OpenError::File {
            path: path.into(),
            source: Box::new(error),
        },
        OpenError::Path { .. }
        | OpenError::InUse { .. }
        | OpenError::File { .. }
        | OpenError::NewerFormat { .. }
        | OpenError::Thread(_) => error,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// The file is made if it is not there.
    First,
    /// It was there before, and without it there is nothing to go on with.
    Again,
}

fn database(path: &Path, volume: &Arc<Volume>, opening: Opening) -> Result<Database, OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(opening == Opening::First)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(at(path))?;
    let file = FileBackend::new(file).map_err(engine)?;
    match on_volume(file, volume) {
        Ok(db) => Ok(db),
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(OpenError::InUse { path: path.into() }),
        Err(source) => Err(engine(source)),
    }
}

fn on_volume(file: impl StorageBackend, volume: &Arc<Volume>) -> Result<Database, DatabaseError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.create_with_backend(VolumeFile {
        file: Box::new(file),
        volume: Arc::clone(volume),
    })
}

/// Under its name it is there whole or not at all.
fn copy(path: &Path, to: &Path) -> Result<(), OpenError> {
    let copying = path.with_extension(COPYING);
    let copied = std::fs::copy(path, &copying)
        .and_then(|_bytes| sync_file(&copying))
        .and_then(|()| std::fs::rename(&copying, to));
    copied.map_err(at(&copying))?;
    path.parent().map_or(Ok(()), sync)
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), OpenError> {
    sync_file(path).map_err(at(path))
}

fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Path { path, source }
}

/// Opens what a test has in the place of a file; clones of it are the same.
pub(super) fn backend(
    backend: impl StorageBackend + Clone,
    newest: u64,
) -> Result<Engine, OpenError> {
    let volume = Arc::new(Volume::default());
    let open = move |volume: &Arc<Volume>| on_volume(backend.clone(), volume).map_err(engine);
    let db = prepared(open(&volume)?, newest)?;
    Ok(Engine::new(db, volume, Box::new(open)))
}

/// Opens a store in memory. It has nothing that could be opened again, and nothing that makes that needful.
pub(super) fn memory(newest: u64) -> Result<Engine, OpenError> {
    let volume = Arc::new(Volume::default());
    let open = |volume: &Arc<Volume>| {
        on_volume(redb::backends::InMemoryBackend::new(), volume).map_err(engine)
    };
    let db = prepared(open(&volume)?, newest)?;
    Ok(Engine::new(db, volume, Box::new(open)))
}

fn format_of(db: &Database) -> Result<Option<u64>, OpenError> {
    let read = db.begin_read().map_err(engine)?;
    stored_format(&read).map_err(engine)
}

/// Makes the tables that a file of this format or an older one lacks, and refuses one of a newer format.
fn prepared(db: Database, newest: u64) -> Result<Database, OpenError> {
    let read = db.begin_read().map_err(engine)?;
    let found = stored_format(&read).map_err(engine)?;
    if let Some(found) = found.filter(|found| *found > newest) {
        return Err(OpenError::NewerFormat { found, newest });
    }
    if found != Some(newest) || !has_all(&read).map_err(engine)? {
        let mut write = db.begin_write().map_err(engine)?;
        write.set_quick_repair(true);
        create_all(&write, newest).map_err(engine)?;
        write.commit().map_err(engine)?;
    }
    Ok(db)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, newest: u64) -> Result<Engine, OpenError> {
        file(dir, Some(1 << 20), newest)
    }

    fn holds(db: &Engine) -> (Option<u64>, bool) {
        let read = db.begin_read().unwrap();
        let services = read.open_table(SERVICES).unwrap();
        let held = services.get("web").unwrap().is_some();
        (stored_format(&read).unwrap(), held)
    }

    #[test]
    fn a_file_is_moved_on_and_a_copy_kept_until_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let former = dir.path().join("sessions.redb.former");
        let db = open(dir.path(), 1).unwrap();
        let write = db.begin_write().unwrap();
        write
            .open_table(SERVICES)
            .unwrap()
            .insert("web", &b"record"[..])
            .unwrap();
        write.commit().unwrap();
        drop(db);
        assert_eq!(holds(&open(dir.path(), 1).unwrap()), (Some(1), true));
        assert!(!former.exists(), "nothing to move on");

        assert_eq!(holds(&open(dir.path(), 2).unwrap()), (Some(2), true));
        let copy = dir.path().join("former");
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(&former, copy.join(FILE)).unwrap();
        assert_eq!(holds(&open(&copy, 1).unwrap()), (Some(1), true));
        let refused = open(dir.path(), 1).unwrap_err();
        assert!(
            matches!(
                refused,
                OpenError::NewerFormat {
                    found: 2,
                    newest: 1
                }
            ),
            "{refused}"
        );
        assert!(former.exists(), "it may be put back");

        assert_eq!(holds(&open(dir.path(), 2).unwrap()), (Some(2), true));
        assert!(!former.exists());
    }
}
