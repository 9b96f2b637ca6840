//! What each service takes of what all services share, and how much it may.
//!
//! It is counted at this node, or of sessions that live on all. One that asks for more is told so (`quota_exceeded`), and the
//! others do not notice.
//!
//! Only services that proved themselves are counted, and only for as long as they take something, so that the counts grow
//! neither with callers nor with ids that come and go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::GatewayError;
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::model::owner::Owner;
use crate::model::quota::{Quota, QuotaUse};
use crate::model::service::Service;
use crate::store::StoreStats;
use crate::store::node::Handle;

mod kept;
mod live;
mod uses;

pub use uses::Held;

use live::LiveSessions;
use uses::Uses;

/// Services counted before those are looked for that take nothing any more.
const TIDY_FROM: usize = 256;

/// The limits of services that have none of their own; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaDefaults {
    /// Requests at one time (`SGW_SERVICE_MAX_REQUESTS_IN_FLIGHT`).
    pub requests_in_flight: u64,
    /// Sessions opened within a second (`SGW_SERVICE_MAX_OPENS_PER_SECOND`).
    pub opens_per_second: u64,
    /// Sessions that live (`SGW_SERVICE_MAX_LIVE_SESSIONS`).
    pub live_sessions: u64,
    /// Bytes that are kept within a day to answer repeated requests with (`SGW_SERVICE_MAX_IDEMPOTENCY_BYTES`).
    pub idempotency_bytes: u64,
    /// Streams of events (`SGW_SERVICE_MAX_FOLLOWERS`).
    pub followers: u64,
}

impl Default for QuotaDefaults {
    fn default() -> Self {
        Self {
            requests_in_flight: 1_000,
            opens_per_second: 5_000,
            live_sessions: 5_000_000,
            idempotency_bytes: 64 << 20,
            followers: 100,
        }
    }
}

impl QuotaDefaults {
    fn limit(&self, service: &Service, quota: Quota) -> u64 {
        service.quotas.get(quota).unwrap_or(match quota {
            Quota::RequestsInFlight => self.requests_in_flight,
            Quota::OpensPerSecond => self.opens_per_second,
            Quota::LiveSessions => self.live_sessions,
            Quota::IdempotencyBytes => self.idempotency_bytes,
            Quota::Followers => self.followers,
        })
    }
}

/// What one service takes, and how much it may.
#[derive(Debug)]
pub struct Allowance {
    uses: Arc<Uses>,
    limits: [u64; Quota::ALL.len()],
}

impl Allowance {
    /// Takes a place among the requests that are worked on, until it is dropped.
    pub fn enter(&self) -> Result<Held, GatewayError> {
        self.hold(Quota::RequestsInFlight)
    }

    /// Takes a place among the streams of events, until it is dropped.
    pub fn follow(&self) -> Result<Held, GatewayError> {
        self.hold(Quota::Followers)
    }

    fn hold(&self, quota: Quota) -> Result<Held, GatewayError> {
        let held = Held::take(Arc::clone(&self.uses), quota, self.limit(quota));
        held.ok_or(GatewayError::QuotaExceeded(quota))
    }

    /// Counts one session that is to be opened.
    pub fn open(&self, now: Timestamp) -> Result<(), GatewayError> {
        let quota = Quota::OpensPerSecond;
        if self.uses.open(self.limit(quota), now) {
            Ok(())
        } else {
            Err(GatewayError::QuotaExceeded(quota))
        }
    }

    /// Whether more may be kept to answer repeated requests with.
    pub fn check_kept(&self, now: Timestamp) -> Result<(), GatewayError> {
        let quota = Quota::IdempotencyBytes;
        let limit = self.limit(quota);
        if limit > 0 && self.uses.used(quota, now) >= limit {
            return Err(GatewayError::QuotaExceeded(quota));
        }
        Ok(())
    }

    /// How much of each quota is taken; of sessions that live, when that was counted last.
    #[must_use]
    pub fn usage(&self, now: Timestamp) -> [QuotaUse; Quota::ALL.len()] {
        Quota::ALL.map(|quota| QuotaUse {
            quota,
            used: self.uses.used(quota, now),
            limit: self.limit(quota),
        })
    }

    fn limit(&self, quota: Quota) -> u64 {
        self.limits.get(quota as usize).copied().unwrap_or(0)
    }
}

/// What services take.
#[derive(Debug, Default)]
pub struct ServiceQuotas {
    defaults: ArcSwap<QuotaDefaults>,
    counted: Mutex<Counted>,
    live: LiveSessions,
}

#[derive(Debug, Default)]
struct Counted {
    of: HashMap<ServiceId, Arc<Uses>>,
    tidy_from: usize,
}

impl Counted {
    /// What a service takes; those that take nothing any more make room when their number has doubled.
    fn uses(&mut self, service_id: &ServiceId, now: Timestamp) -> Arc<Uses> {
        if let Some(uses) = self.of.get(service_id) {
            return Arc::clone(uses);
        }
        if self.of.len() >= self.tidy_from.max(TIDY_FROM) {
            self.of
                .retain(|_, uses| Arc::strong_count(uses) > 1 || !uses.are_over(now));
            self.tidy_from = 2 * self.of.len();
        }
        let uses = self.of.entry(service_id.clone()).or_default();
        Arc::clone(uses)
    }
}

impl ServiceQuotas {
    /// Sets the limits of services that have none of their own.
    pub fn set_defaults(&self, defaults: QuotaDefaults) {
        self.defaults.store(Arc::new(defaults));
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a service takes, and how much it may by what is set at present.
    pub fn allowance(&self, service: &Service, now: Timestamp) -> Allowance {
        let defaults = self.defaults.load();
        Allowance {
            uses: self.counted().uses(&service.service_id, now),
            limits: Quota::ALL.map(|quota| defaults.limit(service, quota)),
        }
    }

    /// Counts one session that is to be opened, among those of its service that live.
    pub async fn open_live(
        &self,
        allowance: &Allowance,
        service: &Service,
        stats: &Handle<dyn StoreStats>,
    ) -> Result<(), GatewayError> {
        let quota = Quota::LiveSessions;
        let limit = allowance.limit(quota);
        if limit == 0 {
            return Ok(());
        }
        let judged = self.live.open(stats, &owner(service), limit).await?;
        allowance.uses.note_live(judged.used);
        judged
            .fits
            .then_some(())
            .ok_or(GatewayError::QuotaExceeded(quota))
    }

    /// How much of each quota a service takes.
    pub async fn usage(
        &self,
        service: &Service,
        stats: &Handle<dyn StoreStats>,
        now: Timestamp,
    ) -> Result<[QuotaUse; Quota::ALL.len()], GatewayError> {
        let allowance = self.allowance(service, now);
        let live = self.live.count(stats, &owner(service)).await?;
        allowance.uses.note_live(live);
        Ok(allowance.usage(now))
    }

    /// Counts what was kept to answer repeated requests of a service with.
    pub fn count_kept(&self, service_id: &ServiceId, bytes: u64, now: Timestamp) {
        self.counted().uses(service_id, now).keep(bytes, now);
    }
}

/// A service, as the sessions that it opens tell it.
fn owner(service: &Service) -> Owner {
    Owner {
        service_id: service.service_id.clone(),
        registration: Some(service.created_at),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::permission::Permissions;
    use crate::model::service::ServiceName;

    const NOW: Timestamp = Timestamp::from_millis(1_769_846_400_000);

    fn service(id: &str) -> Service {
        Service {
            service_id: ServiceId::parse(id).unwrap(),
            service_name: ServiceName::parse(id).unwrap(),
            permissions: Permissions::default(),
            enabled: true,
            created_at: NOW,
            updated_at: NOW,
            session_limit: None,
            quotas: crate::model::quota::Quotas::default(),
        }
    }

    #[test]
    fn services_that_take_nothing_are_forgotten_and_others_are_not() {
        let quotas = ServiceQuotas::default();
        let held = quotas.allowance(&service("held"), NOW).enter().unwrap();
        for number in 0..10 * TIDY_FROM {
            let now = NOW.plus(Duration::from_secs(number as u64));
            let service = service(&format!("passes-{number}"));
            let allowance = quotas.allowance(&service, now);
            allowance.open(now).unwrap();
            drop(allowance.enter().unwrap());
        }
        assert!(quotas.counted().of.len() <= TIDY_FROM + 1);
        let used = || quotas.allowance(&service("held"), NOW).usage(NOW)[0].used;
        assert_eq!(used(), 1);
        drop(held);
        assert_eq!(used(), 0);
    }
}
