//! What SIGHUP asks for: the settings are read again, and those that can change while the gateway runs do.
//!
//! These are the levels of the log, the secret of `admin` and the quotas of services. Of every other one that has changed the log tells that it
//! waits for a restart. Settings that are wrong change nothing.

use std::sync::Arc;

use crate::config::Config;
use crate::gateway::auth::{AdminCredential, Authenticator};
use crate::telemetry::log::{LogLevels, with_causes};

/// What can change while the gateway runs.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) levels: LogLevels,
    pub(super) authenticator: Arc<Authenticator>,
    /// The settings that are in force.
    pub(super) running: Config,
}

impl Reload {
    /// Reads the settings again.
    pub(super) fn run(&mut self) {
        match Config::load() {
            Ok(config) => self.apply(&config),
            Err(error) => {
                tracing::error!(
                    error = with_causes(&error),
                    "SIGHUP: the settings stay as they are"
                );
            }
        }
    }

    fn apply(&mut self, config: &Config) {
        if config.log.filter != self.running.log.filter {
            match self.levels.set(&config.log.filter) {
                Ok(()) => {
                    tracing::info!(levels = config.log.filter, "SIGHUP: the log has new levels");
                }
                Err(error) => tracing::error!(%error, "SIGHUP: the levels of the log stay"),
            }
            self.running.log.filter.clone_from(&config.log.filter);
        }
        self.take_secret(config);
        if config.quotas != self.running.quotas {
            self.authenticator.quotas.set_defaults(config.quotas);
            self.running.quotas = config.quotas;
            tracing::info!("SIGHUP: services have new quotas");
        }
        for name in config.changed_since(&self.running) {
            tracing::warn!(setting = name, "SIGHUP: this setting waits for a restart");
        }
    }

    /// A secret that is taken away would lock out who has no other: that waits for a restart, which makes one.
    fn take_secret(&self, config: &Config) {
        let Some(secret) = &config.admin_secret else {
            return;
        };
        let configured = AdminCredential(Some(secret.hash()));
        if *self.authenticator.admin.swap(Arc::new(configured)) != configured {
            tracing::info!("SIGHUP: admin has a new secret");
        }
    }
}
