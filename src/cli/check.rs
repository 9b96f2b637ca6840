//! `check`: judges the file of a store that no gateway has open, or a backup.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;

use thiserror::Error;

use super::backup;
use crate::config::{Config, StoreLocation};
use crate::store::backup::{BackupFault, BackupReader};
use crate::store::embedded::{Checkup, EmbeddedStore, OpenError};
use crate::telemetry::panics;

/// Why a store does not count as sound.
#[derive(Debug, Error)]
pub(super) enum CheckError {
    #[error("check judges embedded:DIR, and SGW_STORE is {0}")]
    NoFile(StoreLocation),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{file} is damaged; restore a backup, or move it away to start with an empty store", file = .0.display())]
    Damaged(PathBuf),
    #[error("{path}: {source}", path = path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("{path}: {source}", path = path.display())]
    Backup { path: PathBuf, source: BackupFault },
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Judge the backup in this directory instead of the store
    directory: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> Result<(), CheckError> {
    match &arguments.directory {
        Some(directory) => check_backup(&directory.join(backup::FILE)),
        None => check_store(config),
    }
}

/// A backup is sound if it is what the gateway has sent.
fn check_backup(path: &Path) -> Result<(), CheckError> {
    let file = File::open(path).map_err(|source| CheckError::Path {
        path: path.into(),
        source,
    })?;
    let walk = || {
        let mut reader = BackupReader::begin(BufReader::new(file))?;
        while reader.next_record()?.is_some() {}
        Ok(reader)
    };
    let reader = walk().map_err(|source| CheckError::Backup {
        path: path.into(),
        source,
    })?;
    let (path, at, records) = (path.display(), reader.at(), reader.records());
    super::print(&format!(
        "{path}\n{records} records of {at}\nIt is sound.\n"
    ))?;
    Ok(())
}

fn check_store(config: &Config) -> Result<(), CheckError> {
    let directory = match &config.store.location {
        StoreLocation::Embedded(directory) => directory,
        other @ (StoreLocation::Memory | StoreLocation::Redis(_)) => {
            return Err(CheckError::NoFile(other.clone()));
        }
    };
    panics::install_hook();
    let checkup = EmbeddedStore::check_file(directory)?;
    super::print(&text(&checkup))?;
    if checkup.faults > 0 {
        return Err(CheckError::Damaged(checkup.file));
    }
    Ok(())
}

fn text(checkup: &Checkup) -> String {
    let file = std::iter::once(checkup.file.display().to_string());
    let counts = checkup.counts.iter();
    let counts = counts.map(|(name, count)| format!("{count:>10} {name}"));
    let told = checkup.told.iter().map(|told| format!("fault: {told}"));
    let verdict = match checkup.faults {
        0 => "It is sound.\n".to_owned(),
        faults => format!("{faults} faults.\n"),
    };
    let lines = file.chain(counts).chain(told).chain([verdict]);
    lines.collect::<Vec<_>>().join("\n")
}
