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
        let arrived = Instant::now();
        let take = |counts: &mut Counts| counts.take(owner, limit);
        if let Some(judged) = self.with(arrived.checked_sub(GOOD_FOR), take)
            && judged.fits
        {
            return Ok(judged);
        }
        self.read(stats, arrived, take).await
    }

    /// How many there are.
    pub(super) async fn count(
        &self,
        stats: &Handle<dyn StoreStats>,
        owner: &Owner,
    ) -> Result<u64, StoreError> {
        let arrived = Instant::now();
        let count = |counts: &mut Counts| counts.of.get(owner).copied().unwrap_or(0);
        match self.with(arrived.checked_sub(GOOD_FOR), count) {
            Some(used) => Ok(used),
            None => self.read(stats, arrived, count).await,
        }
    }

    /// What counts tell that were asked for no earlier than at a moment.
    fn with<T>(&self, oldest: Option<Instant>, ask: impl FnOnce(&mut Counts) -> T) -> Option<T> {
        let mut counts = self.counts();
        let counts = counts.as_mut();
        let fresh = counts.filter(|counts| oldest.is_none_or(|oldest| counts.asked_at >= oldest));
        fresh.map(ask)
    }

    /// What counts tell that are read now, by this caller or by another that came first.
    async fn read<T>(
        &self,
        stats: &Handle<dyn StoreStats>,
        arrived: Instant,
        ask: impl Fn(&mut Counts) -> T,
    ) -> Result<T, StoreError> {
        let _reading = self.reading.lock().await;
        if let Some(told) = self.with(Some(arrived), &ask) {
            return Ok(told);
        }
        let before = self.with(None, |counts| counts.asked_at);
        if let Some(before) = before {
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
