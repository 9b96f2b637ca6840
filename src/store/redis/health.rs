//! Readiness: the master that every request needs runs a script that writes. Any other master that is missing fails only
//! the requests for its own sessions, so it is a warning: all gateways would stop over it at the same moment.

use std::time::Duration;

use thiserror::Error;

use super::call::call;
use super::client::Client;
use super::connections::{Effect, MasterHealth, Warning};
use super::keys::SERVICES;
use crate::model::health::{Risk, StoreHealth, StoreWarning};
use crate::store::StoreError;

/// How long the trace of a check stays.
const CHECK_KEPT: Duration = Duration::from_secs(60);

call! {
    struct WriteCheck: "check.lua", "", [MESSAGE] {
        kept: Duration,
    }
    "check", replicated: false, effect: Effect::Repeatable;
    (self, _reply) -> () { "done" => (), }
}

#[derive(Debug, Error)]
#[error("the master {0} did not answer in time")]
struct Silent(String);

pub(super) async fn check(client: &Client) -> Result<StoreHealth, StoreError> {
    let check = WriteCheck { kept: CHECK_KEPT };
    match client.call_on(SERVICES, client.keys.check(), &check).await {
        Ok(()) => {}
        Err(StoreError::TimedOut) => return Err(silent(client)),
        Err(error) => return Err(error),
    }
    let masters = client.connections.health().masters;
    Ok(StoreHealth {
        warnings: masters
            .iter()
            .flat_map(warnings)
            .chain([StoreWarning::keys_in_clear()])
            .collect(),
    })
}

fn silent(client: &Client) -> StoreError {
    match client.connections.topology().borrow().master_of(SERVICES) {
        Some(master) => StoreError::Unavailable(Box::new(Silent(master.address.to_string()))),
        None => StoreError::TimedOut,
    }
}

fn warnings(master: &MasterHealth) -> impl Iterator<Item = StoreWarning> {
    let address = &master.address;
    let missing = master.error.iter().map(move |error| StoreWarning {
        code: Risk::PartlyUnavailable,
        detail: format!("{address}: {error}"),
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
