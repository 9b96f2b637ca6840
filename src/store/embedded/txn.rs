//! One write transaction, as the operations see it: records in and out, with every index and the feed kept in step.
//! The writer gives one of these to all jobs of a group, so a job that refuses must do so before it writes.

use std::time::Duration;

use redb::{ReadableTable, Table, WriteTransaction};

use super::Shared;
use super::feed::event_id;
use super::record::encode;
use super::rows::{ended, load, tombstone};
use super::stored::{Kept, StoredEvent, StoredSession};
use super::tables::{
    BANS, Bytes, CLAIMS, EVENTS, EXPIRY, ExpiryKey, Hash, Id, LOGINS, LoginKey, MARKS, META,
    PROFILES, PURGE, PurgeKey, SERVICES, SESSIONS, TOKENS, TOMBSTONES, kind, login_key, meta,
};
use crate::model::Timestamp;
use crate::model::event::{Change, Event, EventType, Fact};
use crate::model::id::SessionId;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::session::{Ended, Session, Tombstone};
use crate::model::session_token::TokenOrigin;
use crate::model::token::CredentialHash;
use crate::store::{Lookup, OpError, Origin, Refusal, StoreError, Target};

/// What a job may read and write. The fields are the tables; the methods keep them true to each other.
pub(super) struct Txn<'t> {
    /// The moment of the job that runs.
    pub(super) now: Timestamp,
    pub(super) shared: &'t Shared,
    /// Whether the job that runs has written.
    pub(super) job_wrote: bool,
    /// Whether any job of the group has written.
    pub(super) group_wrote: bool,
    next_event: u64,
    /// The events of the group.
    pub(super) told: Vec<(Event, Origin)>,
    pub(super) sessions: Table<'t, &'static Id, Bytes>,
    pub(super) tombstones: Table<'t, &'static Id, Bytes>,
    pub(super) logins: Table<'t, LoginKey, ()>,
    pub(super) expiry: Table<'t, ExpiryKey, ()>,
    pub(super) tokens: Table<'t, &'static Hash, &'static Id>,
    pub(super) events: Table<'t, u64, Bytes>,
    pub(super) services: Table<'t, &'static str, Bytes>,
    pub(super) bans: Table<'t, &'static Id, Bytes>,
    pub(super) profiles: Table<'t, &'static Id, Bytes>,
    pub(super) claims: Table<'t, &'static Hash, Bytes>,
    pub(super) marks: Table<'t, &'static Hash, Bytes>,
    pub(super) purge: Table<'t, PurgeKey, ()>,
    pub(super) meta: Table<'t, &'static str, u64>,
}

impl<'t> Txn<'t> {
    pub(super) fn open(txn: &'t WriteTransaction, shared: &'t Shared) -> Result<Self, StoreError> {
        let events = txn.open_table(EVENTS)?;
        let meta = txn.open_table(META)?;
        let last = events.last()?.map_or(0, |(seq, _)| seq.value());
        let trimmed = meta.get(meta::TRIMMED)?.map_or(0, |seq| seq.value());
        Ok(Self {
            now: shared.now(),
            shared,
            job_wrote: false,
            group_wrote: false,
            next_event: last.max(trimmed) + 1,
            told: Vec::new(),
            sessions: txn.open_table(SESSIONS)?,
            tombstones: txn.open_table(TOMBSTONES)?,
            logins: txn.open_table(LOGINS)?,
            expiry: txn.open_table(EXPIRY)?,
            tokens: txn.open_table(TOKENS)?,
            events,
            services: txn.open_table(SERVICES)?,
            bans: txn.open_table(BANS)?,
            profiles: txn.open_table(PROFILES)?,
            claims: txn.open_table(CLAIMS)?,
            marks: txn.open_table(MARKS)?,
            purge: txn.open_table(PURGE)?,
            meta,
        })
    }

    /// Begins the next job.
    pub(super) fn begin_job(&mut self) {
        self.now = self.shared.now();
        self.job_wrote = false;
    }

    /// Must come before the first write of every operation below.
    pub(super) fn writes(&mut self) {
        self.job_wrote = true;
        self.group_wrote = true;
    }

    /// A session as it is stored, with every use of it counted; it may be over.
    pub(super) fn load(&self, session_id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        let stored = load(&self.sessions, session_id)?;
        Ok(stored.map(|mut stored| {
            self.shared.touches.overlay(&mut stored.record);
            stored
        }))
    }

    /// A session as it is now. If it is over and nobody has met it yet, it ends here.
    pub(super) fn meet(
        &mut self,
        session_id: SessionId,
    ) -> Result<Lookup<StoredSession>, StoreError> {
        let Some(stored) = self.load(session_id)? else {
            let tombstone = tombstone(&self.tombstones, session_id)?;
            return Ok(ended(tombstone, self.now));
        };
        match stored.record.expired(self.now) {
            None => Ok(Lookup::Live(Box::new(stored))),
            Some((reason, at)) => {
                let tombstone = self.end(&stored, Ended::by_age(reason, at))?;
                Ok(ended(Some(tombstone), self.now))
            }
        }
    }

    /// The session a write is for, or what stands against the write.
    pub(super) fn meet_target(&mut self, target: &Target) -> Result<StoredSession, OpError> {
        let stored = self.meet_in(target.session_id, &target.access.scope)?;
        if target.precondition.allows(stored.record.session.version) {
            Ok(stored)
        } else {
            Err(Refusal::VersionConflict.into())
        }
    }

    fn meet_in(&mut self, session_id: SessionId, scope: &Scope) -> Result<StoredSession, OpError> {
        match self.meet(session_id)? {
            Lookup::Live(stored) if scope.covers(&stored.record.session.service_id) => Ok(*stored),
            Lookup::Ended(tombstone) if scope.covers(&tombstone.service_id) => {
                Err(Refusal::SessionEnded(tombstone).into())
            }
            Lookup::Live(_) | Lookup::Ended(_) | Lookup::Unknown => {
                Err(Refusal::SessionUnknown.into())
            }
        }
    }

    /// A session as it is shown now, for an operation that was made before.
    pub(super) fn current(
        &mut self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Session, OpError> {
        let stored = self.meet_in(session_id, scope)?;
        Ok(self.shared.shown(stored, self.now))
    }

    /// The session that a caller's token leads to; it may be over.
    pub(super) fn holder(&self, hash: &CredentialHash) -> Result<Option<SessionId>, StoreError> {
        let holder = self.tokens.get(hash.as_bytes())?;
        Ok(holder.map(|id| SessionId::from_bytes(*id.value())))
    }

    /// Stores a session that was not there.
    pub(super) fn insert(&mut self, record: SessionRecord) -> Result<StoredSession, StoreError> {
        self.writes();
        let id = *record.session.session_id.as_bytes();
        let login = login_key(&record.session.login_id);
        let indexed_at = record.session.expires_at;
        self.logins.insert((&login, &id), ())?;
        self.expiry.insert((indexed_at.sort_key(), &id), ())?;
        if record.token.origin == TokenOrigin::Caller {
            self.tokens.insert(record.token.hash.as_bytes(), &id)?;
        }
        let stored = StoredSession { record, indexed_at };
        self.put(&stored)?;
        Ok(stored)
    }

    /// Stores a session that was there. Its entry in the expiry index moves only if it would come too late; one that
    /// comes too early is moved by the sweep that meets it.
    pub(super) fn save(&mut self, mut stored: StoredSession) -> Result<(), StoreError> {
        if stored.record.session.expires_at < stored.indexed_at {
            self.reindex(&mut stored)?;
        }
        self.put(&stored)
    }

    /// Moves the entry in the expiry index to where the session expires; the session is still to be stored.
    pub(super) fn reindex(&mut self, stored: &mut StoredSession) -> Result<(), StoreError> {
        self.writes();
        let id = stored.record.session.session_id.as_bytes();
        let expires_at = stored.record.session.expires_at;
        self.expiry.remove((stored.indexed_at.sort_key(), id))?;
        self.expiry.insert((expires_at.sort_key(), id), ())?;
        stored.indexed_at = expires_at;
        Ok(())
    }

    pub(super) fn put(&mut self, stored: &StoredSession) -> Result<(), StoreError> {
        self.writes();
        let id = stored.record.session.session_id.as_bytes();
        self.sessions.insert(id, encode(stored)?.as_slice())?;
        Ok(())
    }

    /// Ends a stored session for good: the one place where records become tombstones, with the one event of it.
    pub(super) fn end(
        &mut self,
        stored: &StoredSession,
        ended: Ended,
    ) -> Result<Kept<Tombstone>, StoreError> {
        self.writes();
        let session = &stored.record.session;
        let id = session.session_id.as_bytes();
        let at = ended.at;
        let told = Change::SessionEnded {
            reason: ended.reason,
            by: ended.by.clone(),
            detail: ended.detail.clone(),
        };
        let kept = Kept {
            until: at.plus(self.shared.settings.tombstone_retention),
            value: stored.record.end(ended),
        };
        self.sessions.remove(id)?;
        self.logins.remove((&login_key(&session.login_id), id))?;
        self.expiry.remove((stored.indexed_at.sort_key(), id))?;
        self.tombstones.insert(id, encode(&kept)?.as_slice())?;
        let purge_at = kept.until.sort_key();
        self.purge
            .insert((purge_at, kind::TOMBSTONE, id.as_slice()), ())?;
        self.append_for(session, at, told)?;
        Ok(kept)
    }

    /// Forgets an ended session, and with it that its tokens were in use.
    pub(super) fn forget(&mut self, session_id: SessionId) -> Result<(), StoreError> {
        let Some(kept) = tombstone(&self.tombstones, session_id)? else {
            return Ok(());
        };
        self.writes();
        let id = session_id.as_bytes();
        self.tombstones.remove(id)?;
        let token = kept.value.token;
        if token.origin == TokenOrigin::Caller {
            self.tokens.remove(token.hash.as_bytes())?;
        }
        if let Some(brought) = kept.value.former.and_then(|former| former.brought) {
            self.tokens.remove(brought.as_bytes())?;
        }
        let purge_at = kept.until.sort_key();
        self.purge
            .remove((purge_at, kind::TOMBSTONE, id.as_slice()))?;
        Ok(())
    }

    /// Appends an event of a session.
    pub(super) fn append_for(
        &mut self,
        session: &Session,
        at: Timestamp,
        change: Change,
    ) -> Result<(), StoreError> {
        let ended = change.event_type() == EventType::SessionEnded;
        let lived = ended.then(|| at.since(session.created_at));
        let fact = Fact {
            at,
            session_id: Some(session.session_id),
            login_id: Some(session.login_id.clone()),
            service_id: session.service_id.clone(),
            change,
        };
        self.append_told(fact, lived)
    }

    /// Appends an event to the feed.
    pub(super) fn append(&mut self, fact: Fact) -> Result<(), StoreError> {
        self.append_told(fact, None)
    }

    /// All that happens to a file, this node does: only those who listen need to be told where an event comes from.
    fn append_told(&mut self, fact: Fact, lived: Option<Duration>) -> Result<(), StoreError> {
        self.writes();
        let event = StoredEvent {
            appended_at: self.now,
            fact,
        };
        let number = self.next_event;
        self.events.insert(number, encode(&event)?.as_slice())?;
        self.next_event += 1;
        let (id, fact) = (event_id(number)?, event.fact);
        let origin = Origin { own: true, lived };
        self.told.push((Event { id, fact }, origin));
        Ok(())
    }
}
