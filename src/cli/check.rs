//! `check`: judges the file of a store that no gateway has open.

use std::io;

use thiserror::Error;

use crate::config::{Config, StoreLocation};
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
    Damaged(std::path::PathBuf),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

pub(super) fn run(config: &Config) -> Result<(), CheckError> {
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
    let mut text = format!("{}\n", checkup.file.display());
    for (name, count) in &checkup.counts {
        text.push_str(&format!("{count:>10} {name}\n"));
    }
    for told in &checkup.told {
        text.push_str(&format!("fault: {told}\n"));
    }
    match checkup.faults {
        0 => text.push_str("It is sound.\n"),
        faults => text.push_str(&format!("{faults} faults.\n")),
    }
    text
}
