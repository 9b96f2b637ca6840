//! One write transaction, as the operations see it: the facts they are decided from, and the feed. The writer gives one of
//! these to all jobs of a group, so a job that fails must do so before it writes.

use std::collections::HashMap;
use std::time::Duration;

use redb::{ReadableTable, Table, WriteTransaction};

use super::Shared;
use super::feed::event_id;
use super::record::encode;
use super::rows::{load, row, session_ids, tombstone};
use super::stored::{StoredEvent, StoredSession};
use super::tables::{
    BANS, Bytes, CLAIMS, EVENTS, EXPIRY, ExpiryKey, Hash, Id, KEYS, LOGINS, LoginKey, META,
    OPERATION_IDS, OWNERS, PROFILES, PURGE, PurgeKey, SERVICES, SESSIONS, THROTTLES, TOKENS,
    TOMBSTONES, login_key, meta,
};
use crate::model::Timestamp;
use crate::model::event::{Event, Fact};
use crate::model::id::{LoginId, SessionId};
use crate::model::login::Ban;
use crate::model::record::SessionRecord;
use crate::model::request::{OperationId, Target};
use crate::model::session_token::TokenOrigin;
use crate::model::token::CredentialHash;
use crate::rules::Kept;
use crate::rules::create::{CreateFacts, LoginSessions, NewSession};
use crate::rules::entry::SessionEntry;
use crate::rules::operation::{FirstRun, OperationRecord};
use crate::rules::target::TargetFacts;
use crate::rules::terms::Terms;
use crate::store::{Origin, StoreError};

/// What a job may read and write. The fields are the tables; for sessions and bans, `plans` keeps them true to each other.
pub(super) struct Txn<'t> {
    /// The moment of the job that runs.
    pub(super) now: Timestamp,
    pub(super) shared: &'t Shared,
    /// Whether the job that runs has written.
    pub(super) job_wrote: bool,
    /// Whether any job of the group has written.
    pub(super) group_wrote: bool,
    next_event: u64,
    pub(super) told: Vec<(Event, Origin)>,
    /// Where the expiry index has the sessions whose records the job that runs has read.
    pub(super) indexed_at: HashMap<SessionId, Timestamp>,
    pub(super) sessions: Table<'t, &'static Id, Bytes>,
    pub(super) tombstones: Table<'t, &'static Id, Bytes>,
    pub(super) logins: Table<'t, LoginKey, ()>,
    pub(super) expiry: Table<'t, ExpiryKey, ()>,
    pub(super) tokens: Table<'t, &'static Hash, &'static Id>,
    pub(super) events: Table<'t, u64, Bytes>,
    pub(super) services: Table<'t, &'static str, Bytes>,
    pub(super) bans: Table<'t, &'static Id, Bytes>,
    pub(super) profiles: Table<'t, &'static Id, Bytes>,
    pub(super) keys: Table<'t, &'static str, Bytes>,
    pub(super) throttles: Table<'t, &'static str, u64>,
    pub(super) claims: Table<'t, &'static Hash, Bytes>,
    pub(super) operation_ids: Table<'t, &'static Hash, Bytes>,
    pub(super) owners: Table<'t, &'static str, u64>,
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
            indexed_at: HashMap::new(),
            sessions: txn.open_table(SESSIONS)?,
            tombstones: txn.open_table(TOMBSTONES)?,
            logins: txn.open_table(LOGINS)?,
            expiry: txn.open_table(EXPIRY)?,
            tokens: txn.open_table(TOKENS)?,
            events,
            services: txn.open_table(SERVICES)?,
            bans: txn.open_table(BANS)?,
            profiles: txn.open_table(PROFILES)?,
            keys: txn.open_table(KEYS)?,
            throttles: txn.open_table(THROTTLES)?,
            claims: txn.open_table(CLAIMS)?,
            operation_ids: txn.open_table(OPERATION_IDS)?,
            owners: txn.open_table(OWNERS)?,
            purge: txn.open_table(PURGE)?,
            meta,
        })
    }

    pub(super) fn begin_job(&mut self) {
        self.now = self.shared.now();
        self.job_wrote = false;
        self.indexed_at.clear();
    }

    pub(super) fn terms(&self) -> Terms {
        self.shared.terms(self.now)
    }

    /// Must come before the first write of a job.
    pub(super) fn writes(&mut self) {
        self.job_wrote = true;
        self.group_wrote = true;
    }

    /// The record of a session without the uses that wait.
    pub(super) fn record(
        &mut self,
        session_id: SessionId,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let Some(StoredSession { record, indexed_at }) = load(&self.sessions, session_id)? else {
            return Ok(None);
        };
        self.indexed_at.insert(session_id, indexed_at);
        Ok(Some(record))
    }

    pub(super) fn entry(&mut self, session_id: SessionId) -> Result<SessionEntry, StoreError> {
        if let Some(mut record) = self.record(session_id)? {
            self.shared.overlay(&mut record);
            return Ok(SessionEntry::Record(Box::new(record)));
        }
        tombstone(&self.tombstones, session_id)
    }

    pub(super) fn entries(
        &mut self,
        ids: impl IntoIterator<Item = SessionId>,
    ) -> Result<Vec<SessionEntry>, StoreError> {
        ids.into_iter().map(|id| self.entry(id)).collect()
    }

    /// What the first operation with this operation id did.
    pub(super) fn first_run(
        &mut self,
        operation_id: Option<OperationId>,
    ) -> Result<Option<FirstRun>, StoreError> {
        let Some(OperationId(key)) = operation_id else {
            return Ok(None);
        };
        let kept: Option<Kept<OperationRecord>> = row(self.operation_ids.get(&key)?)?;
        let Some(operation) = kept else {
            return Ok(None);
        };
        let session = self.entry(operation.value.session_id())?;
        Ok(Some(FirstRun { operation, session }))
    }

    pub(super) fn target_facts(&mut self, target: &Target) -> Result<TargetFacts, StoreError> {
        Ok(TargetFacts {
            first_run: self.first_run(target.operation_id)?,
            session: self.entry(target.session_id)?,
        })
    }

    pub(super) fn create_facts(&mut self, new: &NewSession) -> Result<CreateFacts, StoreError> {
        let holder = match new.token.origin {
            TokenOrigin::Gateway => None,
            TokenOrigin::Caller => self.holder(&new.token.hash)?,
        };
        let of_login = match new.limit {
            Some(limit) => self.of_login(new, holder, limit.max)?,
            None => LoginSessions::default(),
        };
        Ok(CreateFacts {
            first_run: self.first_run(new.operation_id)?,
            same_id: self.entry(new.session_id)?,
            token_holder: match holder {
                Some(holder) => self.entry(holder)?,
                None => SessionEntry::Missing,
            },
            ban: self.ban(&new.login_id)?,
            of_login,
        })
    }

    fn of_login(
        &mut self,
        new: &NewSession,
        holder: Option<SessionId>,
        max: usize,
    ) -> Result<LoginSessions, StoreError> {
        let met = [Some(new.session_id), holder];
        // More than `max` that are not looked at are too many anyway.
        let most = met.len() + LoginSessions::JUDGED + max;
        let mut ids = session_ids(&self.logins, &new.login_id, None, most)?;
        ids.retain(|id| !met.contains(&Some(*id)));
        let oldest = ids.iter().copied().take(LoginSessions::JUDGED);
        Ok(LoginSessions {
            oldest: self.entries(oldest)?,
            more: ids.len().saturating_sub(LoginSessions::JUDGED),
        })
    }

    /// The session that a caller's token leads to; it may be over.
    pub(super) fn holder(&self, hash: &CredentialHash) -> Result<Option<SessionId>, StoreError> {
        let holder = self.tokens.get(hash.as_bytes())?;
        Ok(holder.map(|id| SessionId::from_bytes(*id.value())))
    }

    pub(super) fn ban(&self, login_id: &LoginId) -> Result<Option<Ban>, StoreError> {
        row(self.bans.get(&login_key(login_id))?)
    }

    /// To be called when all is written.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        if !self.told.is_empty() {
            self.meta.insert(meta::OWNERS_AT, self.next_event - 1)?;
        }
        Ok(())
    }

    /// Appends an event to the feed. All that happens to a file, this node does: only those who listen need to be told
    /// where it comes from.
    pub(super) fn append(&mut self, fact: Fact, lived: Option<Duration>) -> Result<(), StoreError> {
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
