//! The secret that is made for `admin` at the first start, and how it comes to the operator: shown where people read, and
//! in a file of the data directory where programs do.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::{Config, StoreLocation};
use crate::gateway::auth::ensure_admin;
use crate::gateway::{AdminCredential, GatewayError};
use crate::model::token::ServiceSecret;
use crate::store::Stores;
use crate::telemetry::log::{LogFormat, with_causes};

/// What it is called in the data directory.
const FILE: &str = "admin-secret";

/// Why `admin` is not set up.
#[derive(Debug, Error)]
pub enum FirstSecretError {
    /// The built-in service cannot be looked up or made.
    #[error("the built-in service `admin` cannot be set up: {}", with_causes(.0))]
    Admin(#[from] GatewayError),
    /// Nobody would ever know a secret that is made.
    #[error(
        "SGW_ADMIN_SECRET must be set: with SGW_LOG_FORMAT=json none is shown, and {0} has no directory for one"
    )]
    NoDirectory(StoreLocation),
    /// The file cannot be written.
    #[error("the secret of `admin` cannot be kept in {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A secret that was made just now.
pub(super) enum FirstSecret {
    /// It is still to be shown.
    Untold(ServiceSecret),
    /// It is in this file.
    InFile(PathBuf),
}

/// Sees to it that `admin` can authenticate, and makes a secret if none is configured and none was made before.
pub(super) async fn ensure(
    stores: &Stores,
    configured: &AdminCredential,
    config: &Config,
) -> Result<Option<FirstSecret>, FirstSecretError> {
    match config.log.format {
        LogFormat::Text => {
            let made = ensure_admin(stores, configured, |_secret| Ok::<_, FirstSecretError>(()));
            Ok(made.await?.map(FirstSecret::Untold))
        }
        LogFormat::Json => {
            let made = ensure_admin(stores, configured, |secret| {
                write(&file(&config.store.location)?, secret)
            });
            let made = made.await?;
            let path = made.map(|_secret| file(&config.store.location));
            Ok(path.transpose()?.map(FirstSecret::InFile))
        }
    }
}

fn file(location: &StoreLocation) -> Result<PathBuf, FirstSecretError> {
    match location {
        StoreLocation::Embedded(directory) => {
            let path = directory.join(FILE);
            let absolute = std::path::absolute(&path);
            absolute.map_err(|source| FirstSecretError::File { path, source })
        }
        other @ (StoreLocation::Memory | StoreLocation::Redis(_)) => {
            Err(FirstSecretError::NoDirectory(other.clone()))
        }
    }
}

/// Writes it for its owner alone. One of an earlier start is good for nothing any more.
fn write(path: &Path, secret: &ServiceSecret) -> Result<(), FirstSecretError> {
    let written = || {
        match remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{}", secret.expose())?;
        file.sync_all()?;
        path.parent()
            .map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    written().map_err(|source| FirstSecretError::File {
        path: path.to_owned(),
        source,
    })
}
