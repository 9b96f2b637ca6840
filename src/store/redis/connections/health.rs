//! How Redis is, for readiness and for the log.

use super::checks::Warning;
use super::routes::Routes;
use super::shared_connection::State;
use crate::store::{Breaker, MasterStats};
use crate::telemetry::log::with_causes;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::redis) struct Health {
    pub(in crate::store::redis) masters: Vec<MasterHealth>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::redis) struct MasterHealth {
    pub(in crate::store::redis) address: String,
    pub(in crate::store::redis) error: Option<String>,
    /// What an operator should know.
    pub(in crate::store::redis) warnings: Vec<Warning>,
}

pub(super) fn stats(routes: &Routes) -> Vec<MasterStats> {
    let masters = routes.masters();
    let masters = masters.iter().map(|node| {
        let (breaker, connections) = match node.state() {
            State::Up(shared_connections) => (Breaker::Closed, shared_connections.len()),
            State::Connecting { .. } => (Breaker::Connecting, 0),
            State::Down(_) => (Breaker::Open, 0),
        };
        let (limit, shed) = node.load();
        MasterStats {
            address: node.address.to_string(),
            breaker,
            connections: connections as u64,
            requests: node.requests() as u64,
            request_limit: limit as u64,
            shed,
        }
    });
    masters.collect()
}

impl Health {
    pub(super) fn of(routes: &Routes) -> Self {
        let masters = routes.masters();
        let masters = masters.iter().map(|node| MasterHealth {
            address: node.address.to_string(),
            error: match node.state() {
                State::Up(_) => None,
                State::Connecting { .. } => Some("it is being connected to".to_owned()),
                State::Down(error) => Some(with_causes(&*error)),
            },
            warnings: node.probe.warnings(),
        });
        Self {
            masters: masters.collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn is_ready(&self) -> bool {
        !self.masters.is_empty() && self.masters.iter().all(|master| master.error.is_none())
    }
}
