//! How many sessions of each service live in the store, as this node has read it a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::owner::Owner;
use crate::store::node::Handle;
use crate::store::{StoreError, StoreStats};

/// How old a count may be that lets a session be opened. None is refused but by a count that was read after it was asked for.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// Between two readings, as each asks every part of the store.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct LiveSessions {
    counts: Mutex<Option<Counts>>,
    /// Held by the one who reads for all.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Counts {
    asked_at: Instant,
    /// As they were read, and what this node has opened since.
    of: HashMap<Owner, u64>,
}

/// What an open is among the sessions of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) fits: bool,
    /// How many there are with it.
    pub(super) used: u64,
}

impl LiveSessions {
    /// Counts one more, if it is within the limit.
    pub(super) async fn open(
        &self,
        stats: &Handle<dyn StoreStats>,
        owner: &Owner,
        limit: u64,
    ) -> Result<Judged, StoreError> {
        let take = |counts: &mut Counts| counts.take(owner, limit);
        self.ask(stats, take, |judged| judged.fits).await
    }

    /// How many there are.
    pub(super) async fn count(
        &self,
        stats: &Handle<dyn StoreStats>,
        owner: &Owner,
    ) -> Result<u64, StoreError> {
        let count = |counts: &mut Counts| counts.of.get(owner).copied().unwrap_or(0);
        self.ask(stats, count, |_count| true).await
    }

    /// What counts tell that are not too old, if that suffices; else what those tell that are read now, by this caller or
    /// by another that came first.
    async fn ask<T>(
        &self,
        stats: &Handle<dyn StoreStats>,
        ask: impl Fn(&mut Counts) -> T,
        suffices: impl Fn(&T) -> bool,
    ) -> Result<T, StoreError> {
        let arrived = Instant::now();
        let known = || {
            let told = self.with(arrived.checked_sub(GOOD_FOR), &ask);
            told.filter(&suffices)
        };
        if let Some(told) = known() {
            return Ok(told);
        }
        let _reading = self.reading.lock().await;
        if let Some(told) = known().or_else(|| self.with(Some(arrived), &ask)) {
            return Ok(told);
        }
        if let Some(before) = self.with(None, |counts| counts.asked_at) {
            sleep_until(before + PAUSE).await;
        }
        let asked_at = Instant::now();
        let mut counts = Counts {
            asked_at,
            of: stats.owned().await?,
        };
        let told = ask(&mut counts);
        *self.counts() = Some(counts);
        Ok(told)
    }

    /// What counts tell that were asked for no earlier than at a moment.
    fn with<T>(&self, oldest: Option<Instant>, ask: impl FnOnce(&mut Counts) -> T) -> Option<T> {
        let mut counts = self.counts();
        let counts = counts.as_mut();
        let fresh = counts.filter(|counts| oldest.is_none_or(|oldest| counts.asked_at >= oldest));
        fresh.map(ask)
    }

    fn counts(&self) -> MutexGuard<'_, Option<Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn take(&mut self, owner: &Owner, limit: u64) -> Judged {
        let used = match self.of.get_mut(owner) {
            Some(used) => used,
            None => self.of.entry(owner.clone()).or_default(),
        };
        let fits = *used < limit;
        *used += u64::from(fits);
        Judged { fits, used: *used }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;
    use crate::model::id::ServiceId;
    use crate::store::{SessionCounts, Stats};

    /// A store in which one service has so many sessions, and how often it was asked.
    #[derive(Debug)]
    struct Store {
        live: AtomicU64,
        asked: AtomicU64,
    }

    #[async_trait]
    impl StoreStats for Store {
        async fn session_counts(&self) -> Result<SessionCounts, StoreError> {
            Ok(SessionCounts::default())
        }

        async fn owned(&self) -> Result<HashMap<Owner, u64>, StoreError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(5)).await;
            Ok(HashMap::from([(
                owner(),
                self.live.load(Ordering::Relaxed),
            )]))
        }

        fn stats(&self) -> Stats {
            Stats::default()
        }
    }

    fn owner() -> Owner {
        Owner {
            service_id: ServiceId::parse("shop").unwrap(),
            registration: None,
        }
    }

    /// How many of so many fit, who come one after the other while it is read.
    async fn open_many(live: &LiveSessions, store: &Arc<Store>, many: u64, limit: u64) -> usize {
        let stats: Handle<dyn StoreStats> = Handle::new(Arc::<Store>::clone(store));
        let stats = &stats;
        let opens = (0..many).map(|number| async move {
            sleep(Duration::from_micros(number)).await;
            live.open(stats, &owner(), limit).await.unwrap().fits
        });
        let opened = join_all(opens).await;
        opened.into_iter().filter(|fits| *fits).count()
    }

    #[tokio::test(start_paused = true)]
    async fn who_fits_waits_for_one_reading_and_who_does_not_for_one_that_is_new() {
        let store = Arc::new(Store {
            live: AtomicU64::new(10),
            asked: AtomicU64::new(0),
        });
        let asked = || store.asked.load(Ordering::Relaxed);
        let live = LiveSessions::default();
        for readings in 1..=2 {
            sleep(GOOD_FOR * 2).await;
            let start = Instant::now();
            assert_eq!(open_many(&live, &store, 100, 1_000).await, 100);
            assert_eq!(asked(), readings);
            assert!(start.elapsed() < PAUSE);
        }
        // Here 110 are known, of which the store has lost 100.
        assert_eq!(open_many(&live, &store, 20, 120).await, 20);
        assert_eq!(asked(), 3);
        store.live.store(120, Ordering::Relaxed);
        assert_eq!(open_many(&live, &store, 105, 120).await, 100);
        assert_eq!(asked(), 4);
    }
}
