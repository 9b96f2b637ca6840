//! What an operator should know at the start: settings that leave a door open.

use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::source::{DOT_ENV, Source};
use super::variables::{self as var, Variable};
use super::{Config, StoreLocation};
use crate::server::ListenAddress;

/// The bits of a mode that let all users of the machine read.
const READABLE_BY_ALL: u32 = 0o004;

/// The bits of a mode that let others than the owner do anything.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Beyond it a user has forgotten where he is logged in; also the default of the limits.
const LONG: Duration = Duration::from_secs(30 * 86_400);

/// What names a file that holds a secret.
const SECRET_FILES: [&Variable; 3] = [
    &var::STORE_FILE,
    &var::ADMIN_SECRET_FILE,
    &var::PROFILE_LOADER_SECRET_FILE,
];

/// Something that works, and that an operator hardly wants.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// Secrets pass the network as they are.
    #[error(
        "SGW_LISTEN={0} opens the gateway to every network without TLS: tokens and secrets can be read on the way"
    )]
    ListensEverywhere(ListenAddress),
    /// Nobody needs credentials at `/auth/*`.
    #[error(
        "SGW_TRUSTED_PROXIES contains every address: anybody is taken for a reverse proxy of yours"
    )]
    EverybodyIsProxy,
    /// Nobody needs credentials at `/metrics`.
    #[error("SGW_METRICS_ALLOW contains every address: anybody may read /metrics")]
    EverybodyReadsMetrics,
    /// A session may outlive what a user remembers.
    #[error("{0} lets sessions live for more than {days} days", days = LONG.as_secs() / 86_400)]
    LivesLong(&'static str),
    /// The one lifetime never ends a session.
    #[error(
        "SGW_IDLE_TIMEOUT is longer than SGW_MAX_AGE, so no session ends for want of use unless its create says so"
    )]
    IdleOutlastsAge,
    /// Others reach what is stored.
    #[error("the data directory {} is open to other users of this machine; chmod go= it", .0.display())]
    DataIsOpen(PathBuf),
    /// Others can read secrets.
    #[error("{0} can be read by every user of this machine; chmod o= it")]
    ReadableFile(&'static str),
}

fn has_mode(path: &Path, bits: u32) -> bool {
    metadata(path).is_ok_and(|file| file.mode() & bits != 0)
}

/// The files with secrets that every user of the machine can read, by what names them.
pub(super) fn readable_files(source: &Source) -> Vec<&'static str> {
    let named = SECRET_FILES.into_iter().filter(|variable| {
        let path = source.text(variable).map(Path::new);
        path.is_some_and(|path| has_mode(path, READABLE_BY_ALL))
    });
    let dot_env = has_mode(Path::new(DOT_ENV), READABLE_BY_ALL).then_some(DOT_ENV);
    named.map(|variable| variable.name).chain(dot_env).collect()
}

impl Config {
    /// What to warn of at the start, once the store is open.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let listen = &self.listener.listen;
        let everywhere = listen.is_everywhere();
        let everybody_is_proxy = self.proxies.trusted.include_everybody();
        let everybody_reads = self.listener.metrics_allow.include_everybody();
        let open = match &self.store.location {
            StoreLocation::Embedded(directory) => {
                has_mode(directory, OPEN_TO_OTHERS).then(|| directory.clone())
            }
            StoreLocation::Memory | StoreLocation::Redis(_) => None,
        };
        let outlasts = self.lifetimes.idle_timeout > self.lifetimes.max_age;
        let lifetimes = [
            (&var::IDLE_TIMEOUT_LIMIT, self.lifetimes.idle_timeout_limit),
            (&var::MAX_AGE_LIMIT, self.lifetimes.max_age_limit),
        ];
        let long = lifetimes.into_iter().filter(|(_, most)| *most > LONG);
        let files = self.readable_files.iter().copied();
        [
            everywhere.then_some(Warning::ListensEverywhere(listen.clone())),
            everybody_is_proxy.then_some(Warning::EverybodyIsProxy),
            everybody_reads.then_some(Warning::EverybodyReadsMetrics),
            open.map(Warning::DataIsOpen),
            outlasts.then_some(Warning::IdleOutlastsAge),
        ]
        .into_iter()
        .flatten()
        .chain(long.map(|(variable, _)| Warning::LivesLong(variable.name)))
        .chain(files.map(Warning::ReadableFile))
        .collect()
    }
}
