//! Opens the file of the store, or says in one line why not. A file of an older format is moved on, and a copy of it as
//! it was is kept until the next start.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend};
use thiserror::Error;

use super::tables::{create_all, has_all, stored_format};

/// The one file in the store's directory.
const FILE: &str = "sessions.redb";

/// How the copy of a file ends that was moved on, and that of one which is being written.
const FORMER: &str = "redb.former";
const COPYING: &str = "redb.copying";

/// Pages kept in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Why the store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A file or directory cannot be made or opened.
    #[error("{path}: {source}", path = path.display())]
    Path {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no store, or is damaged.
    #[error("{path} cannot be opened: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the storage engine said.
        source: Box<DatabaseError>,
    },
    /// A newer version has written it. It is left as it is.
    #[error(
        "the store was written by a newer version: it has format {found}, this version knows {newest}"
    )]
    NewerFormat {
        /// The format it has.
        found: u64,
        /// The newest that this version knows.
        newest: u64,
    },
    /// The storage engine failed.
    #[error("the store cannot be opened: {0}")]
    Engine(#[source] Box<redb::Error>),
    /// No thread could be started for the writer.
    #[error("the writing thread cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// Opens the file in `dir`. Both are made for their owner's eyes only if they are not there.
pub(super) fn file(dir: &Path, newest: u64) -> Result<Database, OpenError> {
    let path = dir.join(FILE);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(at(dir))?;
    let mut db = database(&path)?;
    // A file whose name is not on the disk is no file after a power cut.
    sync(dir)?;
    let former = path.with_extension(FORMER);
    match format_of(&db)? {
        Some(found) if found < newest => {
            // Closed, it is whole.
            drop(db);
            copy(&path, &former)?;
            tracing::info!(found, newest, copy = %former.display(), "store.moves_on");
            db = database(&path)?;
        }
        Some(found) if found == newest => remove(&former)?,
        // Whoever refuses a newer file leaves the copy, which may be put back.
        Some(_) | None => {}
    }
    prepared(db, newest)
}

fn database(path: &Path) -> Result<Database, OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(at(path))?;
    let opened = FileBackend::new(file).and_then(|backend| builder().create_with_backend(backend));
    match opened {
        Ok(db) => Ok(db),
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(OpenError::InUse { path: path.into() }),
        Err(source) => Err(OpenError::File {
            path: path.into(),
            source: Box::new(source),
        }),
    }
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

fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Path { path, source }
}

pub(super) fn backend(backend: impl StorageBackend, newest: u64) -> Result<Database, OpenError> {
    let db = builder().create_with_backend(backend).map_err(engine)?;
    prepared(db, newest)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
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

fn engine(error: impl Into<redb::Error>) -> OpenError {
    OpenError::Engine(Box::new(error.into()))
}

#[cfg(test)]
mod tests {
    use super::super::tables::SERVICES;
    use super::*;

    fn holds(db: &Database) -> (Option<u64>, bool) {
        let read = db.begin_read().unwrap();
        let services = read.open_table(SERVICES).unwrap();
        let held = services.get("web").unwrap().is_some();
        (stored_format(&read).unwrap(), held)
    }

    #[test]
    fn a_file_is_moved_on_and_a_copy_kept_until_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let former = dir.path().join("sessions.redb.former");
        let db = file(dir.path(), 1).unwrap();
        let write = db.begin_write().unwrap();
        write
            .open_table(SERVICES)
            .unwrap()
            .insert("web", &b"record"[..])
            .unwrap();
        write.commit().unwrap();
        drop(db);
        assert_eq!(holds(&file(dir.path(), 1).unwrap()), (Some(1), true));
        assert!(!former.exists(), "nothing to move on");

        assert_eq!(holds(&file(dir.path(), 2).unwrap()), (Some(2), true));
        assert_eq!(holds(&database(&former).unwrap()), (Some(1), true));
        let refused = file(dir.path(), 1).unwrap_err();
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

        assert_eq!(holds(&file(dir.path(), 2).unwrap()), (Some(2), true));
        assert!(!former.exists());
    }
}
