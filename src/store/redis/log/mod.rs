//! What was acknowledged in the last 15 minutes and must not be taken back, in little room.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::keys::slot_of;
use super::link::Slot;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::session::{EndDetail, EndReason, Ended};
use crate::store::TokenRotation;

mod bans;
mod events;
mod rotations;

pub(super) use bans::BanState;
pub(super) use events::WrittenService;
pub(super) use rotations::Made;
use rotations::Rotations;

/// How long something is kept: longer than a replica that can take over lags behind.
pub(super) const KEPT: Duration = Duration::from_secs(15 * 60);

/// Endings that are kept: some 50 MB.
const MOST: usize = 1_000_000;
/// How many of a shard's last endings a new one is compared with: a node hears of its own endings soon again.
const RECENT: usize = 64;
/// Services that are kept, and as many bans.
const MOST_SERVICES: usize = 10_000;

/// Something that must not be taken back.
#[derive(Debug)]
pub(super) enum Deed {
    /// A session ended.
    Ended(SessionId, Ended),
    /// A token was rotated at a moment.
    Rotated(TokenRotation, Timestamp),
    /// A service was written or removed.
    Service(ServiceId, ServiceState),
    /// A login was banned, or its ban was lifted.
    Ban(BanState),
}

/// A service as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceState {
    /// Its record; nothing if it was removed.
    pub(super) record: Option<Vec<u8>>,
    pub(super) at: Timestamp,
    pub(super) by: ServiceId,
}

/// All that is kept.
#[derive(Debug)]
pub(super) struct Remembered {
    start: Instant,
    most: usize,
    shards: Vec<Mutex<VecDeque<Ending>>>,
    count: AtomicUsize,
    warned: AtomicBool,
    rotations: Rotations,
    services: Mutex<HashMap<ServiceId, (Instant, ServiceState)>>,
    bans: Mutex<HashMap<LoginId, (Instant, BanState)>>,
    actors: Mutex<HashSet<Arc<ServiceId>>>,
}

#[derive(Debug)]
struct Ending {
    session_id: SessionId,
    at: Timestamp,
    by: Option<Arc<ServiceId>>,
    /// Seconds after the start.
    learned: u32,
    reason: EndReason,
    detail: Option<Box<EndDetail>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remembered {
    pub(super) fn new() -> Self {
        Self::with_room_for(MOST)
    }

    fn with_room_for(most: usize) -> Self {
        Self {
            start: Instant::now(),
            most,
            shards: (0..=u8::MAX).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            warned: AtomicBool::new(false),
            rotations: Rotations::default(),
            services: Mutex::default(),
            bans: Mutex::default(),
            actors: Mutex::default(),
        }
    }

    pub(super) fn keep(&self, deed: Deed) {
        match deed {
            Deed::Ended(session_id, ended) => self.keep_ending(session_id, ended),
            Deed::Rotated(rotation, at) => self.rotations.keep(rotation, at),
            Deed::Service(service_id, state) => self.keep_service(service_id, state),
            Deed::Ban(state) => self.keep_ban(state),
        }
    }

    fn keep_ending(&self, session_id: SessionId, ended: Ended) {
        let Some(shard) = self.shard(slot_of(session_id)) else {
            return;
        };
        let ending = Ending {
            session_id,
            at: ended.at,
            by: ended.by.map(|by| self.actor(by)),
            learned: self.seconds(),
            reason: ended.reason,
            detail: ended.detail.map(Box::new),
        };
        let mut shard = lock(shard);
        let mut recent = shard.iter().rev().take(RECENT);
        if recent.any(|known| known.session_id == session_id) {
            return;
        }
        self.forget_old_in(&mut shard);
        if self.count.load(Ordering::Relaxed) >= self.most {
            self.warn();
            self.forget_first(&mut shard);
        }
        shard.push_back(ending);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The newest state stays: a read after a failover may have found an older one.
    fn keep_service(&self, service_id: ServiceId, state: ServiceState) {
        let mut services = lock(&self.services);
        let known = services.get(&service_id);
        let newer = known.is_none_or(|(_, known)| known.at <= state.at);
        if newer && (known.is_some() || services.len() < MOST_SERVICES) {
            services.insert(service_id, (Instant::now(), state));
        }
    }

    /// The newest state stays here too.
    fn keep_ban(&self, state: BanState) {
        let mut bans = lock(&self.bans);
        let known = bans.get(&state.login_id);
        let newer = known.is_none_or(|(_, known)| known.at <= state.at);
        if newer && (known.is_some() || bans.len() < MOST_SERVICES) {
            bans.insert(state.login_id.clone(), (Instant::now(), state));
        }
    }

    /// Endings of a shard from the newest to the oldest, after as many as were seen before.
    pub(super) fn endings(&self, shard: u8, seen: usize, most: usize) -> Vec<(SessionId, Ended)> {
        let Some(shard) = self.shard(Slot::Shard(shard)) else {
            return Vec::new();
        };
        let shard = lock(shard);
        let endings = shard.iter().rev().skip(seen).take(most);
        endings
            .map(|ending| {
                let ended = Ended {
                    reason: ending.reason,
                    at: ending.at,
                    by: ending.by.as_deref().cloned(),
                    detail: ending.detail.as_deref().cloned(),
                };
                (ending.session_id, ended)
            })
            .collect()
    }

    pub(super) fn rotations(&self, slot: Slot) -> Vec<Made> {
        self.rotations.of(slot)
    }

    pub(super) fn services(&self) -> Vec<(ServiceId, ServiceState)> {
        let services = lock(&self.services);
        let services = services.iter();
        services
            .map(|(id, (_, state))| (id.clone(), state.clone()))
            .collect()
    }

    pub(super) fn bans(&self, shard: u8) -> Vec<BanState> {
        let bans = lock(&self.bans);
        let states = bans.values().map(|(_, state)| state);
        let of_shard = states.filter(|state| state.login_id.shard() == shard);
        of_shard.cloned().collect()
    }

    /// Drops what was kept long enough.
    pub(super) fn forget_old(&self) {
        for shard in &self.shards {
            self.forget_old_in(&mut lock(shard));
        }
        self.rotations.forget_old();
        lock(&self.services).retain(|_, (learned, _)| learned.elapsed() < KEPT);
        lock(&self.bans).retain(|_, (learned, _)| learned.elapsed() < KEPT);
        lock(&self.actors).retain(|actor| Arc::strong_count(actor) > 1);
    }

    fn forget_old_in(&self, shard: &mut VecDeque<Ending>) {
        let now = u64::from(self.seconds());
        while shard
            .front()
            .is_some_and(|ending| u64::from(ending.learned) + KEPT.as_secs() < now)
        {
            self.forget_first(shard);
        }
    }

    fn forget_first(&self, shard: &mut VecDeque<Ending>) {
        if shard.pop_front().is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn warn(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                endings = self.most,
                "more sessions end than are remembered for a failover; the oldest are forgotten"
            );
        }
    }

    fn shard(&self, slot: Slot) -> Option<&Mutex<VecDeque<Ending>>> {
        match slot {
            Slot::Shard(shard) => self.shards.get(usize::from(shard)),
            Slot::Of(_) | Slot::Hash(_) => None,
        }
    }

    /// The same services end most sessions.
    fn actor(&self, by: ServiceId) -> Arc<ServiceId> {
        let mut actors = lock(&self.actors);
        if let Some(known) = actors.get(&by) {
            return Arc::clone(known);
        }
        let new = Arc::new(by);
        actors.insert(Arc::clone(&new));
        new
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::LoginId;

    fn ending(number: u8) -> (SessionId, Ended) {
        let login = LoginId::parse("alice").unwrap();
        let session_id = SessionId::new(Timestamp::from_millis(1), &login, [number; 10]);
        let ended = Ended {
            reason: EndReason::Logout,
            at: Timestamp::from_millis(i64::from(number)),
            by: Some(ServiceId::parse("web").unwrap()),
            detail: None,
        };
        (session_id, ended)
    }

    fn shard() -> u8 {
        LoginId::parse("alice").unwrap().shard()
    }

    fn keep(remembered: &Remembered, number: u8) {
        let (session_id, ended) = ending(number);
        remembered.keep(Deed::Ended(session_id, ended));
    }

    #[test]
    fn endings_come_newest_first_and_once() {
        let remembered = Remembered::new();
        for number in [1, 2, 2, 3, 1] {
            keep(&remembered, number);
        }
        let all = remembered.endings(shard(), 0, 10);
        assert_eq!(all, [ending(3), ending(2), ending(1)]);
        assert_eq!(remembered.endings(shard(), 1, 1), [ending(2)]);
    }

    #[test]
    fn the_oldest_make_room() {
        let remembered = Remembered::with_room_for(2);
        for number in 1..=3 {
            keep(&remembered, number);
        }
        let all = remembered.endings(shard(), 0, 10);
        assert_eq!(all, [ending(3), ending(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_ever() {
        let remembered = Remembered::new();
        keep(&remembered, 1);
        let state = ServiceState {
            record: None,
            at: Timestamp::from_millis(1),
            by: ServiceId::admin(),
        };
        remembered.keep(Deed::Service(ServiceId::admin(), state));
        tokio::time::advance(KEPT).await;
        remembered.forget_old();
        assert_eq!(remembered.endings(shard(), 0, 10).len(), 1);
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        remembered.forget_old();
        assert_eq!(remembered.endings(shard(), 0, 10), []);
        assert_eq!(remembered.services(), []);
    }

    #[test]
    fn an_older_state_of_a_service_replaces_no_newer_one() {
        let remembered = Remembered::new();
        let state = |at| ServiceState {
            record: Some(vec![at]),
            at: Timestamp::from_millis(at.into()),
            by: ServiceId::admin(),
        };
        for at in [1, 3, 2] {
            remembered.keep(Deed::Service(ServiceId::admin(), state(at)));
        }
        assert_eq!(remembered.services(), [(ServiceId::admin(), state(3))]);
    }
}
