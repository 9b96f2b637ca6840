//! Readiness: the master that every request needs runs a script that writes. Any other master that is missing fails only
//! the requests for its own sessions, so it is a warning: all gateways would stop over it at the same moment.

use thiserror::Error;

use super::args::Args;
use super::client::Client;
use super::keys::SERVICES;
use super::link::{Effect, MasterHealth, Warning};
use super::scripts;
use crate::store::{Risk, StoreError, StoreHealth, StoreWarning};

/// How long the trace of a check stays.
const CHECK_MILLIS: u64 = 60_000;

#[derive(Debug, Error)]
#[error("the master {0} did not answer in time")]
struct Silent(String);

pub(super) async fn check(client: &Client) -> Result<StoreHealth, StoreError> {
    let (keys, args) = (vec![client.keys.check()], Args::new().show(CHECK_MILLIS));
    let effect = Effect::Repeatable;
    let written = client.run_bare(SERVICES, &scripts::CHECK, keys, args, effect);
    match written.await {
        Ok(_) => {}
        Err(StoreError::TimedOut) => return Err(silent(client)),
        Err(error) => return Err(error),
    }
    let masters = client.link.health().masters;
    Ok(StoreHealth {
        warnings: masters.iter().flat_map(warnings).collect(),
    })
}

fn silent(client: &Client) -> StoreError {
    match client.link.topology().borrow().master_of(SERVICES) {
        Some(master) => StoreError::Unavailable(Box::new(Silent(master.address.to_string()))),
        None => StoreError::TimedOut,
    }
}

fn warnings(master: &MasterHealth) -> impl Iterator<Item = StoreWarning> {
    let address = &master.address;
    let missing = master.trouble.iter().map(move |trouble| StoreWarning {
        code: Risk::PartlyUnavailable,
        detail: format!("{address}: {trouble}"),
    });
    let configured = master.warnings.iter().map(move |warning| StoreWarning {
        code: risk(warning),
        detail: format!("{address}: {warning}"),
    });
    missing.chain(configured)
}

fn risk(warning: &Warning) -> Risk {
    match warning {
        Warning::Eviction { .. } => Risk::SessionsCanVanish,
        Warning::NoAppendOnlyFile => Risk::CrashesCanUndo,
        Warning::NoReplicasNeeded => Risk::FailoversCanUndo,
    }
}
