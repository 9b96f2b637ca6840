//! Which settings are given, and whether they are others than before.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Config;
use super::source::Source;
use super::variables::{self as var, VARIABLES, Variable};

/// Settings that change while the gateway runs.
const LIVE: [&Variable; 9] = [
    &var::LOG,
    &var::ADMIN_SECRET,
    &var::ADMIN_SECRET_FILE,
    // Only the commands read it, each anew.
    &var::URL,
    &var::SERVICE_MAX_REQUESTS_IN_FLIGHT,
    &var::SERVICE_MAX_OPENS_PER_SECOND,
    &var::SERVICE_MAX_LIVE_SESSIONS,
    &var::SERVICE_MAX_IDEMPOTENCY_BYTES,
    &var::SERVICE_MAX_FOLLOWERS,
];

/// The settings that are given, each by a digest, as it may be a secret.
#[derive(Debug, Clone, Default)]
pub(super) struct Given(BTreeMap<&'static str, [u8; 32]>);

impl Given {
    pub(super) fn of(source: &Source) -> Self {
        let given = VARIABLES.iter().filter_map(|variable| {
            let text = source.text(variable)?;
            Some((variable.name, Sha256::digest(text).into()))
        });
        Self(given.collect())
    }
}

impl Config {
    /// Which settings are others than in these, but for those that change while the gateway runs.
    pub fn changed_since<'c>(&'c self, running: &'c Self) -> impl Iterator<Item = &'static str> {
        let names = VARIABLES.iter().map(|variable| variable.name);
        let is_live = |name: &str| LIVE.iter().any(|live| live.name == name);
        let waits = names.filter(move |name| !is_live(name));
        waits.filter(|name| self.given.0.get(name) != running.given.0.get(name))
    }
}
