//! What was acknowledged in the last 15 minutes and must not be taken back, in little room.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::session::{EndDetail, EndReason, Ended};
use crate::rules::rotate::TokenRotation;
use crate::store::{Partition, Partitions};

mod bans;
mod events;
mod rotations;

pub(in crate::store) use bans::BanState;
pub(in crate::store) use events::WrittenService;
pub(in crate::store) use rotations::Made;
use rotations::Rotations;

/// How long something is kept: longer than a replica that can take over lags behind.
pub(in crate::store) const KEPT: Duration = Duration::from_secs(15 * 60);

/// Endings that are kept: some 50 MB.
const MOST: usize = 1_000_000;
/// How many of a partition's last endings a new one is compared with: a node hears of its own endings soon again.
const RECENT: usize = 64;
/// Services that are kept, and as many bans.
const MOST_SERVICES: usize = 10_000;

#[derive(Debug)]
pub(in crate::store) enum RecoveryEntry {
    Ended(SessionId, Ended),
    Rotated(TokenRotation, Timestamp),
    Service(ServiceId, ServiceState),
    /// A login was banned, or its ban was lifted.
    Ban(BanState),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct ServiceState {
    /// Its record; nothing if it was removed.
    pub(in crate::store) record: Option<Vec<u8>>,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) by: ServiceId,
}

#[derive(Debug)]
pub(in crate::store) struct RecoveryLog {
    start: Instant,
    most: usize,
    partitions: Partitions,
    endings: Vec<Mutex<VecDeque<KeptEnding>>>,
    count: AtomicUsize,
    warned: AtomicBool,
    rotations: Rotations,
    services: Mutex<HashMap<ServiceId, (Instant, ServiceState)>>,
    bans: Mutex<HashMap<LoginId, (Instant, BanState)>>,
    actors: Mutex<HashSet<Arc<ServiceId>>>,
}

#[derive(Debug)]
struct KeptEnding {
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

impl RecoveryLog {
    pub(in crate::store) fn new(partitions: Partitions) -> Self {
        Self::with_room_for(MOST, partitions)
    }

    fn with_room_for(most: usize, partitions: Partitions) -> Self {
        Self {
            start: Instant::now(),
            most,
            partitions,
            endings: partitions.all().map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            warned: AtomicBool::new(false),
            rotations: Rotations::default(),
            services: Mutex::default(),
            bans: Mutex::default(),
            actors: Mutex::default(),
        }
    }

    pub(in crate::store) fn keep(&self, entry: RecoveryEntry) {
        match entry {
            RecoveryEntry::Ended(session_id, ended) => self.keep_ending(session_id, ended),
            RecoveryEntry::Rotated(rotation, at) => self.rotations.keep(rotation, at),
            RecoveryEntry::Service(service_id, state) => self.keep_service(service_id, state),
            RecoveryEntry::Ban(state) => self.keep_ban(state),
        }
    }

    fn keep_ending(&self, session_id: SessionId, ended: Ended) {
        let Some(endings) = self.endings_of(self.partitions.of_session(session_id)) else {
            return;
        };
        let ending = KeptEnding {
            session_id,
            at: ended.at,
            by: ended.by.map(|by| self.actor(by)),
            learned: self.seconds(),
            reason: ended.reason,
            detail: ended.detail.map(Box::new),
        };
        let mut endings = lock(endings);
        let mut recent = endings.iter().rev().take(RECENT);
        if recent.any(|known| known.session_id == session_id) {
            return;
        }
        self.forget_old_in(&mut endings);
        if self.count.load(Ordering::Relaxed) >= self.most {
            self.warn();
            // The oldest of this partition, not of all: that one could be found only under the locks of all.
            self.forget_first(&mut endings);
        }
        endings.push_back(ending);
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

    /// Endings in a partition from the newest to the oldest, after as many as were seen before.
    pub(in crate::store) fn endings(
        &self,
        partition: Partition,
        seen: usize,
        most: usize,
    ) -> Vec<(SessionId, Ended)> {
        let Some(endings) = self.endings_of(partition) else {
            return Vec::new();
        };
        let endings = lock(endings);
        let endings = endings.iter().rev().skip(seen).take(most);
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

    pub(in crate::store) fn rotations(&self, partition: Partition) -> Vec<Made> {
        let of = |session_id| self.partitions.of_session(session_id);
        self.rotations.of(|session_id| of(session_id) == partition)
    }

    pub(in crate::store) fn services(&self) -> Vec<(ServiceId, ServiceState)> {
        let services = lock(&self.services);
        let services = services.iter();
        services
            .map(|(id, (_, state))| (id.clone(), state.clone()))
            .collect()
    }

    pub(in crate::store) fn bans(&self, partition: Partition) -> Vec<BanState> {
        let bans = lock(&self.bans);
        let states = bans.values().map(|(_, state)| state);
        let of = |state: &BanState| self.partitions.of_login(&state.login_id);
        states
            .filter(|state| of(state) == partition)
            .cloned()
            .collect()
    }

    pub(in crate::store) fn forget_old(&self) {
        for endings in &self.endings {
            self.forget_old_in(&mut lock(endings));
        }
        self.rotations.forget_old();
        lock(&self.services).retain(|_, (learned, _)| learned.elapsed() < KEPT);
        lock(&self.bans).retain(|_, (learned, _)| learned.elapsed() < KEPT);
        lock(&self.actors).retain(|actor| Arc::strong_count(actor) > 1);
    }

    fn forget_old_in(&self, endings: &mut VecDeque<KeptEnding>) {
        let now = u64::from(self.seconds());
        while endings
            .front()
            .is_some_and(|ending| u64::from(ending.learned) + KEPT.as_secs() < now)
        {
            self.forget_first(endings);
        }
    }

    fn forget_first(&self, endings: &mut VecDeque<KeptEnding>) {
        if endings.pop_front().is_some() {
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

    fn endings_of(&self, partition: Partition) -> Option<&Mutex<VecDeque<KeptEnding>>> {
        self.endings.get(partition.0)
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

    fn partition() -> Partition {
        Partitions::Shards.of_login(&LoginId::parse("alice").unwrap())
    }

    fn keep(log: &RecoveryLog, number: u8) {
        let (session_id, ended) = ending(number);
        log.keep(RecoveryEntry::Ended(session_id, ended));
    }

    #[test]
    fn endings_come_newest_first_and_once() {
        let log = RecoveryLog::new(Partitions::Shards);
        for number in [1, 2, 2, 3, 1] {
            keep(&log, number);
        }
        let all = log.endings(partition(), 0, 10);
        assert_eq!(all, [ending(3), ending(2), ending(1)]);
        assert_eq!(log.endings(partition(), 1, 1), [ending(2)]);
    }

    #[test]
    fn the_oldest_make_room() {
        let log = RecoveryLog::with_room_for(2, Partitions::Shards);
        for number in 1..=3 {
            keep(&log, number);
        }
        let all = log.endings(partition(), 0, 10);
        assert_eq!(all, [ending(3), ending(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_ever() {
        let log = RecoveryLog::new(Partitions::Shards);
        keep(&log, 1);
        let state = ServiceState {
            record: None,
            at: Timestamp::from_millis(1),
            by: ServiceId::admin(),
        };
        log.keep(RecoveryEntry::Service(ServiceId::admin(), state));
        tokio::time::advance(KEPT).await;
        log.forget_old();
        assert_eq!(log.endings(partition(), 0, 10).len(), 1);
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        log.forget_old();
        assert_eq!(log.endings(partition(), 0, 10), []);
        assert_eq!(log.services(), []);
    }

    #[test]
    fn an_older_state_of_a_service_replaces_no_newer_one() {
        let log = RecoveryLog::new(Partitions::Shards);
        let state = |at| ServiceState {
            record: Some(vec![at]),
            at: Timestamp::from_millis(at.into()),
            by: ServiceId::admin(),
        };
        for at in [1, 3, 2] {
            log.keep(RecoveryEntry::Service(ServiceId::admin(), state(at)));
        }
        assert_eq!(log.services(), [(ServiceId::admin(), state(3))]);
    }
}
