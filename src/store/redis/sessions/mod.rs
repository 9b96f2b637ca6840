//! Sessions and bans of logins: one script an operation, in the slot of the login.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use super::RedisSettings;
use super::activity::Activity;
use super::client::Client;
use crate::store::node::recovery::RecoveryLog;

mod answers;
mod bans;
mod bulk;
mod changes;
mod contract;
mod counts;
mod create;
mod ends;
mod lists;
mod members;
mod rotation;
mod stats;
mod steps;
mod sweep;
#[cfg(test)]
mod tests;
mod tokens;
mod verify;

#[derive(Debug)]
pub(super) struct Sessions {
    client: Arc<Client>,
    activity: Arc<Activity>,
    log: Arc<RecoveryLog>,
    settings: SessionSettings,
    sweep_from: AtomicU8,
}

/// What of the settings is about sessions.
#[derive(Debug)]
struct SessionSettings {
    idle_after: Duration,
    tombstone_retention: Duration,
    sweep_grace: Duration,
}

impl Sessions {
    pub(super) fn new(
        client: &Arc<Client>,
        activity: &Arc<Activity>,
        log: &Arc<RecoveryLog>,
        settings: &RedisSettings,
    ) -> Self {
        Self {
            client: Arc::clone(client),
            activity: Arc::clone(activity),
            log: Arc::clone(log),
            settings: SessionSettings {
                idle_after: settings.idle_after,
                tombstone_retention: settings.tombstone_retention,
                sweep_grace: settings.sweep_grace,
            },
            sweep_from: AtomicU8::new(0),
        }
    }
}
