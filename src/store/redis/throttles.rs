//! Networks that are slowed down, all in one sorted set, by the moments at which that ends.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::RedisStore;
use super::call::{List, call, table};
use super::connections::Effect;
use super::keys::SERVICES;
use crate::store::throttles::MAX_THROTTLED;
use crate::store::{StoreError, ThrottleStore};

/// What error messages call an entry.
const THROTTLE: &str = "throttle";
/// Networks that one step takes, so that it holds nobody up.
const STEP: usize = 100;

table! {
    struct Throttled { network: String, length: Duration, }
}

call! {
    struct Throttle: "throttle.lua", "", [CLOCK] {
        networks: List<Throttled>,
        most: usize,
    }
    THROTTLE, replicated: false, effect: Effect::Repeatable;
    (self, _reply) -> () { "done" => (), }
}

call! {
    struct FindThrottle: "throttled.lua", "no-writes", [CLOCK] {
        network: String,
    }
    THROTTLE, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> Option<Duration> {
        "throttled" => Some(Duration::from_millis(reply.number()?.unsigned_abs())),
        "free" => None,
    }
}

#[async_trait]
impl ThrottleStore for RedisStore {
    async fn throttle(&self, networks: &[(IpAddr, Duration)]) -> Result<(), StoreError> {
        for step in networks.chunks(STEP) {
            let throttled = step.iter().map(|(network, length)| Throttled {
                network: network.to_string(),
                length: *length,
            });
            let step = Throttle {
                networks: List(throttled.collect()),
                most: MAX_THROTTLED,
            };
            let key = self.client.keys.throttles();
            self.client.call_on(SERVICES, key, &step).await?;
        }
        Ok(())
    }

    async fn throttled(&self, network: IpAddr) -> Result<Option<Duration>, StoreError> {
        let network = network.to_string();
        let key = self.client.keys.throttles();
        self.client
            .call_on(SERVICES, key, &FindThrottle { network })
            .await
    }
}
