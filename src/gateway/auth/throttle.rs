//! Slows addresses down from which too many authentications failed. Good credentials are never asked about here, so
//! nobody can lock a service out by failing in its name or from its address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::gateway::GatewayError;
use crate::model::network::network_of;

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

impl Default for Throttle {
    fn default() -> Self {
        let quota = Quota::per_second(REFILL_PER_SECOND).allow_burst(BURST);
        Self {
            failures: RateLimiter::keyed(quota),
            until_tidy: AtomicU32::new(0),
        }
    }
}

impl Throttle {
    /// Counts a failure, and says how it is to be answered.
    pub(super) fn refuse(&self, address: Option<IpAddr>) -> GatewayError {
        self.tidy();
        let source = if self.failures.len() < MAX_ADDRESSES {
            Source::of(address)
        } else {
            Source::Unknown
        };
        match self.failures.check_key(&source) {
            Ok(()) => GatewayError::Unauthenticated,
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                GatewayError::RateLimited {
                    retry_after: wait.as_secs() + 1,
                }
            }
        }
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
    use super::*;

    fn exhaust(throttle: &Throttle, address: &str) -> GatewayError {
        (0..1_000)
            .map(|_| throttle.refuse(address.parse().ok()))
            .find(|error| !matches!(error, GatewayError::Unauthenticated))
            .unwrap()
    }

    #[test]
    fn many_failures_from_one_address_are_told_to_wait() {
        let throttle = Throttle::default();
        let GatewayError::RateLimited { retry_after } = exhaust(&throttle, "203.0.113.7") else {
            panic!("must be told to wait");
        };
        assert!((1..=21).contains(&retry_after), "{retry_after}");
    }

    #[test]
    fn addresses_are_counted_apart() {
        let throttle = Throttle::default();
        exhaust(&throttle, "203.0.113.7");
        for other in ["203.0.113.8", "2001:db8::1", "none"] {
            let error = throttle.refuse(other.parse().ok());
            assert!(matches!(error, GatewayError::Unauthenticated), "{other}");
        }
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

    #[test]
    fn the_addresses_that_are_remembered_are_bounded() {
        let throttle = Throttle::default();
        for number in 0..u32::try_from(MAX_ADDRESSES).unwrap() + 5_000 {
            throttle.refuse(Some(IpAddr::V4(number.into())));
        }
        assert!(throttle.failures.len() <= MAX_ADDRESSES + 1);
    }
}
