//! The copies themselves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::generations::{Generation, Generations};
use super::hits::HitCounter;
use crate::model::event::{Change, Event};
use crate::model::id::{ServiceId, SessionId};
use crate::model::record::SessionRecord;
use crate::model::service::ServiceRecord;
use crate::model::session::EndReason;
use crate::model::token::CredentialHash;
use crate::store::{CacheStats, Listener, Origin, Partition, Partitions, Verified};

/// What a copy takes beside its texts: the record, its names, and its place.
const COPY_BYTES: u64 = 640;

/// The least a copy takes in all, for the guess how many there will be.
const SMALL_COPY_BYTES: u64 = 1024;

/// Tokens of callers whose session is known; each takes some 100 bytes.
const HOLDERS: usize = 100_000;

const SERVICES: usize = 10_000;

/// A copy is read anew after this time, for what no event tells: counters of a connection, uses on other nodes.
const KEPT: Duration = Duration::from_secs(300);

/// A session as the store gave it.
#[derive(Debug)]
pub(super) struct SessionEntry {
    pub(super) found: Verified,
    /// Before the read that gave it.
    pub(super) read_at: Instant,
    generation: Generation,
}

/// A service as the store gave it.
#[derive(Debug, Clone)]
struct ServiceEntry {
    record: Arc<ServiceRecord>,
    generation: Generation,
}

pub(super) struct Entries {
    generations: Generations,
    sessions: Cache<SessionId, Arc<SessionEntry>, ByBytes>,
    /// Where the tokens of callers lead; the record decides.
    holders: Cache<[u8; 32], SessionId>,
    services: Cache<ServiceId, ServiceEntry>,
    pub(super) asked_of_sessions: HitCounter,
    pub(super) asked_of_services: HitCounter,
    max_bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<SessionId, Arc<SessionEntry>> for ByBytes {
    fn weight(&self, _id: &SessionId, copy: &Arc<SessionEntry>) -> u64 {
        bytes(&copy.found.record)
    }
}

fn bytes(record: &SessionRecord) -> u64 {
    let session = &record.session;
    let user_agent = session.user_agent.as_ref();
    let texts = session.attributes.bytes()
        + session.login_id.as_str().len()
        + user_agent.map_or(0, |text| text.as_str().len());
    // Each attribute is two allocations and its place beside the others.
    let names = session.attributes.iter().count() * 64;
    COPY_BYTES + u64::try_from(texts + names).unwrap_or(u64::MAX / 2)
}

#[derive(Debug, Clone, Copy)]
pub(in crate::store::node) struct Begun {
    generation: Generation,
    at: Instant,
}

impl Entries {
    pub(super) fn new(max_bytes: u64, partitions: Partitions) -> Self {
        let expected = usize::try_from(max_bytes / SMALL_COPY_BYTES).unwrap_or(usize::MAX);
        Self {
            generations: Generations::new(partitions),
            sessions: Cache::with_weighter(expected, max_bytes, ByBytes),
            holders: Cache::new(HOLDERS),
            services: Cache::new(SERVICES),
            asked_of_sessions: HitCounter::default(),
            asked_of_services: HitCounter::default(),
            max_bytes,
        }
    }

    pub(super) fn partitions(&self) -> Partitions {
        self.generations.partitions()
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            sessions: self.asked_of_sessions.stats(self.sessions.len()),
            services: self.asked_of_services.stats(self.services.len()),
            bytes: self.sessions.weight(),
            max_bytes: self.max_bytes,
        }
    }

    /// The session of a token that a caller brought, if it was met here.
    pub(super) fn holder(&self, hash: &CredentialHash) -> Option<SessionId> {
        self.holders.get(hash.as_bytes())
    }

    pub(super) fn note_holder(&self, hash: &CredentialHash, session_id: SessionId) {
        self.holders.insert(*hash.as_bytes(), session_id);
    }

    /// The copy of a session, unless it was overtaken.
    pub(super) fn session(&self, session_id: SessionId) -> Option<Arc<SessionEntry>> {
        let copy = self.sessions.get(&session_id)?;
        let good = copy.generation == self.generations.of_session(session_id)
            && copy.read_at.elapsed() < KEPT;
        good.then_some(copy)
    }

    /// To be called before a read whose answer may be kept.
    pub(super) fn begin_session(&self, session_id: SessionId) -> Begun {
        Begun {
            generation: self.generations.of_session(session_id),
            at: Instant::now(),
        }
    }

    pub(super) fn keep_session(&self, found: Verified, begun: Begun) {
        let copy = SessionEntry {
            found,
            read_at: begun.at,
            generation: begun.generation,
        };
        self.sessions
            .insert(copy.found.record.session.session_id, Arc::new(copy));
    }

    pub(super) fn invalidate_session(&self, session_id: SessionId) {
        self.generations.invalidate_session(session_id);
        self.sessions.remove(&session_id);
    }

    /// Something may have happened to anything in this partition.
    pub(super) fn invalidate_partition(&self, partition: Partition) {
        self.generations.invalidate_partition(partition);
    }

    pub(super) fn invalidate_services(&self) {
        self.generations.invalidate_services();
    }

    /// The copy of a service, unless one was changed since.
    pub(super) fn service(&self, service_id: &ServiceId) -> Option<Arc<ServiceRecord>> {
        let copy = self.services.get(service_id)?;
        (copy.generation == self.generations.of_services()).then_some(copy.record)
    }

    pub(super) fn begin_services(&self) -> Generation {
        self.generations.of_services()
    }

    pub(super) fn keep_service(&self, record: ServiceRecord, generation: Generation) {
        let record = Arc::new(record);
        let service_id = record.service.service_id.clone();
        self.services
            .insert(service_id, ServiceEntry { record, generation });
    }
}

impl Listener for Entries {
    fn event(&self, event: &Event, _origin: Origin) {
        match event.fact.change {
            // Of this there are no copies.
            Change::SessionCreated { .. }
            | Change::LoginBanned { .. }
            | Change::LoginUnbanned { .. } => {}
            Change::SessionChanged { .. }
            | Change::SessionRotated { .. }
            | Change::SessionEnded { .. } => {
                if let Some(session_id) = event.fact.session_id {
                    self.invalidate_session(session_id);
                }
                // Those that are still to end with it were marked without an event.
                if let Change::SessionEnded { reason, .. } = event.fact.change
                    && reason == EndReason::Banned
                    && let Some(login_id) = &event.fact.login_id
                {
                    self.invalidate_partition(self.partitions().of_login(login_id));
                }
            }
            Change::ServiceChanged { .. } => self.invalidate_services(),
        }
    }

    fn gap(&self, partition: Partition) {
        self.invalidate_partition(partition);
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("sessions", &self.sessions.len())
            .field("services", &self.services.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::attribute::Attributes;
    use crate::model::id::LoginId;
    use crate::model::session::{Session, SessionState};
    use crate::model::session_token::{StoredToken, TokenOrigin};

    const MOMENT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn found(number: u8) -> Verified {
        let login_id = LoginId::parse("ana").unwrap();
        let session = Session {
            session_id: SessionId::new(MOMENT, &login_id, [number; 10]),
            login_id,
            service_id: ServiceId::parse("shop").unwrap(),
            device: None,
            device_id: None,
            state: SessionState::Active,
            connection_id: None,
            client_ip: None,
            client_port: None,
            user_agent: None,
            server_addr: None,
            attributes: Attributes::default(),
            stats: None,
            version: 1,
            created_at: MOMENT,
            last_active_at: MOMENT,
            expires_at: MOMENT,
            idle_expires_at: MOMENT,
            max_expires_at: MOMENT,
        };
        let record = SessionRecord {
            session,
            idle_timeout: Duration::from_secs(60),
            token: StoredToken {
                hash: CredentialHash::of(&[number]),
                origin: TokenOrigin::Gateway,
            },
            rotation: None,
            registration: None,
            marked: None,
        };
        Verified {
            life: record.life(),
            record: Arc::new(record),
            state: SessionState::Active,
            stored_until: MOMENT,
        }
    }

    fn id(found: &Verified) -> SessionId {
        found.record.session.session_id
    }

    #[test]
    fn a_change_during_the_read_makes_the_copy_worthless() {
        let entries = Entries::new(1 << 20, Partitions::Shards);
        let found = found(1);
        let begun = entries.begin_session(id(&found));
        entries.invalidate_session(id(&found));
        entries.keep_session(found.clone(), begun);
        assert!(entries.session(id(&found)).is_none());
        let begun = entries.begin_session(id(&found));
        entries.gap(Partitions::Shards.of_session(id(&found)));
        entries.keep_session(found.clone(), begun);
        assert!(entries.session(id(&found)).is_none());
        entries.keep_session(found.clone(), entries.begin_session(id(&found)));
        assert!(entries.session(id(&found)).is_some());
    }

    #[test]
    fn copies_take_no_more_memory_than_they_may() {
        let entries = Entries::new(1 << 20, Partitions::Shards);
        for number in 0..=255 {
            let mut found = found(number);
            let note = format!(r#"{{"note":"{}"}}"#, "x".repeat(60_000));
            let record = Arc::make_mut(&mut found.record);
            record.session.attributes = serde_json::from_str(&note).unwrap();
            entries.keep_session(found.clone(), entries.begin_session(id(&found)));
        }
        assert!(entries.sessions.weight() <= 1 << 20);
        assert!(entries.sessions.len() > 8);
    }
}
