//! Who may see how a node is: who runs it, and what watches it.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Authenticator, Presented};
use crate::gateway::GatewayError;
use crate::model::network::Networks;
use crate::model::permission::Permission;
use crate::model::request::Consistency;

/// Lets in this machine, the networks that are set, and services with `service.read`.
#[derive(Debug)]
pub struct Operators {
    /// Finds out which service asks.
    pub authenticator: Arc<Authenticator>,
    /// Where nobody needs credentials (`SGW_METRICS_ALLOW`).
    pub networks: Networks,
}

impl Operators {
    /// Admits one of them; all others are told to authenticate.
    pub async fn admit(
        &self,
        presented: &Presented,
        address: Option<IpAddr>,
    ) -> Result<(), GatewayError> {
        let is_near = |address: IpAddr| {
            address.to_canonical().is_loopback() || self.networks.include(address)
        };
        if address.is_some_and(is_near) {
            return Ok(());
        }
        let identified = self
            .authenticator
            .identify(presented, address, Consistency::Bounded);
        let (service, _) = identified.await?;
        match service.scope(Permission::ServiceRead) {
            Some(_reads) => Ok(()),
            None => Err(GatewayError::Unauthenticated),
        }
    }
}
