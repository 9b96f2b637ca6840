//! Slows addresses down from which too many authentications failed. Good credentials are never asked about here, so
//! nobody can lock a service out by failing in its name or from its address.
//!
//! Every node counts for itself. Once it slows a source down, it tells the others through the store, where that stands
//! until its end whatever becomes of the node; for a single failure nothing is written.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::model::network::network_of;
use crate::store::node::Handle;
use crate::store::{StoreError, ThrottleStore};

mod penalties;
mod teller;

use penalties::Penalties;
use teller::Teller;

/// Failures an address may have at once: a fleet behind one address that starts with an old secret stays below.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// Failures a second that are forgiven.
const REFILL_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// Addresses that are remembered apart, at about 100 bytes each; beyond that all others share one allowance.
const MAX_ADDRESSES: usize = 65_536;

/// Failures after which what is forgiven is also forgotten.
const TIDY_EVERY: u32 = 4_096;

/// Slows addresses down from which too many authentications failed.
#[derive(Debug)]
pub(super) struct Throttle {
    failures: DefaultKeyedRateLimiter<Source>,
    until_tidy: AtomicU32,
    penalties: Penalties,
    teller: Arc<Teller>,
}

/// Where failures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Address(IpAddr),
    Unknown,
}

impl Source {
    fn of(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Unknown, |address| Self::Address(network_of(address)))
    }
}

impl Throttle {
    pub(super) fn new(store: Handle<dyn ThrottleStore>) -> Self {
        let quota = Quota::per_second(REFILL_PER_SECOND).allow_burst(BURST);
        Self {
            failures: RateLimiter::keyed(quota),
            until_tidy: AtomicU32::new(0),
            penalties: Penalties::default(),
            teller: Arc::new(Teller::new(store)),
        }
    }

    /// Counts a failure, and tells for how long its source is slowed down, by this node or by another.
    pub(super) async fn failed(
        &self,
        address: Option<IpAddr>,
    ) -> Result<Option<Duration>, StoreError> {
        let source = Source::of(address);
        if let Some(left) = self.penalties.left(&source, Instant::now()) {
            return Ok(Some(left));
        }
        if let Source::Address(network) = source
            && let Some(left) = self.teller.store().throttled(network).await?
        {
            self.penalties.hear(source, left, Instant::now());
            return Ok(Some(left));
        }
        Ok(self.count(source).await)
    }

    async fn count(&self, source: Source) -> Option<Duration> {
        self.tidy();
        let counted = if self.failures.len() < MAX_ADDRESSES {
            source
        } else {
            Source::Unknown
        };
        if self.failures.check_key(&counted).is_ok() {
            return None;
        }
        let length = self.penalties.begin(source, Instant::now());
        if let Source::Address(network) = source {
            self.teller.tell(network, length).await;
        }
        Some(length)
    }

    fn tidy(&self) {
        if self.until_tidy.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.failures.retain_recent();
            self.failures.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;

    use super::*;

    const FAR: Duration = Duration::from_secs(30);

    /// What is told, by how often.
    #[derive(Debug, Default)]
    struct Told(Mutex<HashMap<IpAddr, u32>>);

    #[async_trait]
    impl ThrottleStore for Told {
        async fn throttle(&self, networks: &[(IpAddr, Duration)]) -> Result<(), StoreError> {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (network, _) in networks {
                *told.entry(*network).or_default() += 1;
            }
            Ok(())
        }

        async fn throttled(&self, network: IpAddr) -> Result<Option<Duration>, StoreError> {
            let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(told.contains_key(&network).then_some(FAR))
        }
    }

    fn node(told: &Arc<Told>) -> Throttle {
        Throttle::new(Handle::new(Arc::<Told>::clone(told)))
    }

    async fn failed(throttle: &Throttle, address: &str) -> Option<Duration> {
        throttle.failed(address.parse().ok()).await.unwrap()
    }

    async fn exhaust(throttle: &Throttle, address: &str) -> Duration {
        for _ in 0..1_000 {
            if let Some(left) = failed(throttle, address).await {
                return left;
            }
        }
        panic!("must be slowed down");
    }

    #[tokio::test(start_paused = true)]
    async fn many_failures_from_one_address_are_told_to_wait_and_longer_each_time() {
        let throttle = node(&Arc::default());
        assert_eq!(exhaust(&throttle, "203.0.113.7").await.as_secs(), 1);
        tokio::time::advance(Duration::from_millis(400)).await;
        let left = failed(&throttle, "203.0.113.7").await.unwrap();
        assert_eq!(left.as_millis(), 600);
    }

    #[tokio::test]
    async fn addresses_are_counted_apart() {
        let throttle = node(&Arc::default());
        exhaust(&throttle, "203.0.113.7").await;
        for other in ["203.0.113.8", "2001:db8::1", "none"] {
            assert_eq!(failed(&throttle, other).await, None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_node_hears_of_it_and_nothing_is_told_of_single_failures() {
        let told = Arc::default();
        let (first, second) = (node(&told), node(&told));
        for _ in 0..50 {
            assert_eq!(failed(&first, "203.0.113.7").await, None);
        }
        tokio::time::sleep(FAR).await;
        assert!(told.0.lock().unwrap().is_empty());
        exhaust(&first, "203.0.113.7").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(failed(&second, "203.0.113.7").await, Some(FAR));
        assert_eq!(failed(&second, "203.0.113.8").await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_once_a_second_at_most() {
        let told = Arc::<Told>::default();
        let throttle = node(&told);
        exhaust(&throttle, "203.0.113.1").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        exhaust(&throttle, "203.0.113.2").await;
        exhaust(&throttle, "203.0.113.3").await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(told.0.lock().unwrap().len(), 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(told.0.lock().unwrap().len(), 3);
    }

    #[test]
    fn one_source_cannot_be_many() {
        for [first, second] in [
            ["2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"],
            ["::ffff:203.0.113.7", "203.0.113.7"],
        ] {
            assert_eq!(
                Source::of(first.parse().ok()),
                Source::of(second.parse().ok())
            );
        }
        let networks = ["2001:db8:1:2::1", "2001:db8:1:3::1"];
        let [first, second] = networks.map(|address| Source::of(address.parse().ok()));
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn the_addresses_that_are_remembered_are_bounded() {
        let throttle = node(&Arc::default());
        for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() + 5_000 {
            throttle
                .failed(Some(IpAddr::V4(number.into())))
                .await
                .unwrap();
        }
        assert!(throttle.failures.len() <= MAX_ADDRESSES + 1);
    }
}
