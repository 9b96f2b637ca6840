//! `backup` and `restore`: what a running gateway keeps, in a file where the command runs, and from there into a new
//! store.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use clap::Args;
use thiserror::Error;

use super::gateway::{GatewayArguments, GatewayClient, GatewayClientError};
use crate::clock::{Machine, SteadyClock};
use crate::config::{Config, StoreLocation};
use crate::store::backup::BackupLine;
use crate::store::embedded::{EmbeddedStore, RestoreError, RestoredSessions};
use crate::telemetry::panics;

/// The one file in the directory of a backup, and how it is called until it is whole.
pub(super) const FILE: &str = "sessions.backup";
const PARTIAL: &str = "sessions.backup.partial";

/// How long a backup may take.
const DEADLINE: Duration = Duration::from_secs(60 * 60);

/// The last line of a backup is no longer than this.
const LAST_LINE: usize = 256;

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    #[command(flatten)]
    at: GatewayArguments,
    /// Where the backup goes; made if it is not there
    directory: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// Where the backup is
    directory: PathBuf,
    /// End every session of the backup: those that have ended since it was made would live again
    #[arg(long)]
    end_sessions: bool,
}

/// Why there is no backup, or nothing is restored from it.
#[derive(Debug, Error)]
pub(super) enum BackupError {
    #[error(transparent)]
    Gateway(#[from] GatewayClientError),
    #[error("{path}: {source}", path = path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("{path} is there; a backup does not replace another", path = .0.display())]
    IsThere(PathBuf),
    #[error("the gateway sent no whole backup")]
    CutOff,
    #[error("restore fills embedded:DIR, and SGW_STORE is {0}")]
    NoFile(StoreLocation),
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

pub(super) fn back_up(arguments: &BackupArguments, config: &Config) -> Result<(), BackupError> {
    let gateway = GatewayClient::new(&arguments.at, config)?;
    let directory = &arguments.directory;
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(at(directory))?;
    let (path, partial) = (directory.join(FILE), directory.join(PARTIAL));
    if path.exists() {
        return Err(BackupError::IsThere(path));
    }
    let outcome = receive(&gateway, &partial).and_then(|records| {
        std::fs::rename(&partial, &path).map_err(at(&path))?;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(at(directory))?;
        Ok(records)
    });
    match outcome {
        Ok(records) => {
            eprintln!("{} has {records} records.", path.display());
            Ok(())
        }
        Err(error) => {
            // What is left of it is of no use, and there may be nothing.
            drop(std::fs::remove_file(&partial));
            Err(error)
        }
    }
}

/// Writes what the gateway sends into a file, and tells how many records that were.
fn receive(gateway: &GatewayClient, partial: &Path) -> Result<u64, BackupError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(partial);
    let mut file = file.map_err(at(partial))?;
    let mut end = Vec::new();
    gateway.receive(Method::POST, "/v1/backups", DEADLINE, |piece| {
        end.extend_from_slice(&piece);
        end.drain(..end.len().saturating_sub(LAST_LINE));
        file.write_all(&piece)
    })?;
    file.sync_all().map_err(at(partial))?;
    records_told(&end).ok_or(BackupError::CutOff)
}

/// What the last line tells, if it is the one that every whole backup ends with.
fn records_told(end: &[u8]) -> Option<u64> {
    let last = end
        .strip_suffix(b"\n")?
        .rsplit(|byte| *byte == b'\n')
        .next()?;
    match serde_json::from_slice(last).ok()? {
        BackupLine::End { records, .. } => Some(records),
        BackupLine::Begin { .. } | BackupLine::Record { .. } => None,
    }
}

pub(super) fn restore(arguments: &RestoreArguments, config: &Config) -> Result<(), BackupError> {
    panics::install_hook();
    let directory = match &config.store.location {
        StoreLocation::Embedded(directory) => directory,
        other @ (StoreLocation::Memory | StoreLocation::Redis(_)) => {
            return Err(BackupError::NoFile(other.clone()));
        }
    };
    let path = arguments.directory.join(FILE);
    let mut backup = BufReader::new(File::open(&path).map_err(at(&path))?);
    let sessions = if arguments.end_sessions {
        RestoredSessions::End
    } else {
        RestoredSessions::Live
    };
    let clock = Arc::new(SteadyClock::new(Machine));
    let settings = config.store.embedded();
    let restored = EmbeddedStore::restore(directory, settings, clock, &mut backup, sessions)?;
    eprintln!(
        "{} records of {} are restored.",
        restored.records, restored.at
    );
    match sessions {
        RestoredSessions::Live if restored.sessions > 0 => eprintln!(
            "{} sessions are as they were then, also those that have ended since; --end-sessions would end them all.",
            restored.sessions
        ),
        RestoredSessions::Live => {}
        RestoredSessions::End => eprintln!("{} sessions were ended.", restored.sessions),
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Path { path, source }
}
