//! Opens the file of the store, or says in one line why not.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend};
use thiserror::Error;

use super::tables::{FORMAT, create_all, has_all, stored_format};

/// The one file in the store's directory.
const FILE: &str = "sessions.redb";

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
        "the store was written by a newer version: it has format {found}, this version knows {FORMAT}"
    )]
    NewerFormat {
        /// The format it has.
        found: u64,
    },
    /// The storage engine failed.
    #[error("the store cannot be opened: {0}")]
    Engine(#[source] Box<redb::Error>),
    /// No thread could be started for the writer.
    #[error("the writing thread cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// Opens the file in `dir`. Both are made for their owner's eyes only if they are not there.
pub(super) fn file(dir: &Path) -> Result<Database, OpenError> {
    let path = dir.join(FILE);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Path { path, source }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(at(dir))?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    // A file whose name is not on the disk is no file after a power cut.
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(at(dir))?;
    let opened = FileBackend::new(file).and_then(|backend| builder().create_with_backend(backend));
    match opened {
        Ok(db) => prepared(db),
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(OpenError::InUse { path }),
        Err(source) => Err(OpenError::File {
            path,
            source: Box::new(source),
        }),
    }
}

pub(super) fn backend(backend: impl StorageBackend) -> Result<Database, OpenError> {
    prepared(builder().create_with_backend(backend).map_err(engine)?)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes the tables that a file lacks and refuses a file of a newer format.
fn prepared(db: Database) -> Result<Database, OpenError> {
    let read = db.begin_read().map_err(engine)?;
    match stored_format(&read).map_err(engine)? {
        Some(FORMAT) if has_all(&read).map_err(engine)? => {}
        None | Some(FORMAT) => {
            let mut write = db.begin_write().map_err(engine)?;
            write.set_quick_repair(true);
            create_all(&write).map_err(engine)?;
            write.commit().map_err(engine)?;
        }
        Some(found) => return Err(OpenError::NewerFormat { found }),
    }
    Ok(db)
}

fn engine(error: impl Into<redb::Error>) -> OpenError {
    OpenError::Engine(Box::new(error.into()))
}
