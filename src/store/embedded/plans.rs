//! Plans are carried out: each write with every index that follows from it, and the events.

use std::collections::HashMap;

use super::record::encode;
use super::stored::StoredSession;
use super::tables::{kind, login_key};
use super::txn::Txn;
use crate::model::Timestamp;
use crate::model::login::Ban;
use crate::model::record::SessionRecord;
use crate::model::request::OperationId;
use crate::model::session::Tombstone;
use crate::model::session_token::TokenOrigin;
use crate::rules::Kept;
use crate::rules::operation::OperationRecord;
use crate::rules::plan::{Decision, Plan, Write};
use crate::store::StoreError;

impl Txn<'_> {
    /// Carries out what was decided, and answers it.
    pub(super) fn decide<T>(&mut self, decision: Decision<T>) -> Result<T, StoreError> {
        self.carry_out(decision.plan)?;
        Ok(decision.outcome)
    }

    pub(super) fn carry_out(&mut self, plan: Plan) -> Result<(), StoreError> {
        let mut lived = HashMap::new();
        for write in plan.writes {
            self.writes();
            match write {
                Write::Open(record) => self.open_session(*record)?,
                Write::Save(record) => self.save(*record)?,
                Write::Reschedule(record) => self.reschedule(*record)?,
                Write::End(ending) => {
                    lived.insert(ending.tombstone.value.session_id, ending.lived);
                    self.end(&ending.tombstone)?;
                }
                Write::Forget(kept) => self.forget(&kept)?,
                Write::KeepOperation(operation_id, kept) => {
                    self.keep_operation(operation_id, &kept)?;
                }
                Write::PutBan(ban) => self.put_ban(&ban)?,
                Write::DropBan(login_id) => {
                    self.bans.remove(&login_key(&login_id))?;
                }
            }
        }
        for fact in plan.events {
            let lived = fact.session_id.and_then(|id| lived.get(&id).copied());
            self.append(fact, lived)?;
        }
        Ok(())
    }

    fn open_session(&mut self, record: SessionRecord) -> Result<(), StoreError> {
        let id = *record.session.session_id.as_bytes();
        let login = login_key(&record.session.login_id);
        let indexed_at = record.session.expires_at;
        self.logins.insert((&login, &id), ())?;
        self.expiry.insert((indexed_at.sort_key(), &id), ())?;
        self.count_opened(&record.owner())?;
        if record.token.origin == TokenOrigin::Caller {
            self.tokens.insert(record.token.hash.as_bytes(), &id)?;
        }
        self.put(record, indexed_at)
    }

    /// Puts a session where there is none, with the token of a caller that it may have had before.
    pub(super) fn restore_session(&mut self, record: SessionRecord) -> Result<(), StoreError> {
        let former = record.rotation.as_ref().map(|rotation| &rotation.former);
        if let Some(external) = former.and_then(|former| former.external) {
            let id = record.session.session_id.as_bytes();
            self.tokens.insert(external.as_bytes(), id)?;
        }
        self.open_session(record)
    }

    /// The entry in the expiry index moves only if it would come too late; one that comes too early is moved by the sweep
    /// that finds it.
    fn save(&mut self, record: SessionRecord) -> Result<(), StoreError> {
        let indexed_at = self.indexed_at(&record);
        if record.session.expires_at < indexed_at {
            return self.reschedule(record);
        }
        self.put(record, indexed_at)
    }

    fn reschedule(&mut self, record: SessionRecord) -> Result<(), StoreError> {
        let indexed_at = self.indexed_at(&record);
        let id = record.session.session_id.as_bytes();
        let expires_at = record.session.expires_at;
        self.expiry.remove((indexed_at.sort_key(), id))?;
        self.expiry.insert((expires_at.sort_key(), id), ())?;
        self.put(record, expires_at)
    }

    fn indexed_at(&self, record: &SessionRecord) -> Timestamp {
        let session = &record.session;
        let read = self.indexed_at.get(&session.session_id);
        read.copied().unwrap_or(session.expires_at)
    }

    fn put(&mut self, record: SessionRecord, indexed_at: Timestamp) -> Result<(), StoreError> {
        let id = *record.session.session_id.as_bytes();
        let stored = StoredSession { record, indexed_at };
        self.sessions.insert(&id, encode(&stored)?.as_slice())?;
        Ok(())
    }

    fn end(&mut self, kept: &Kept<Tombstone>) -> Result<(), StoreError> {
        let value = &kept.value;
        let id = value.session_id.as_bytes();
        self.sessions.remove(id)?;
        self.count_ended(&value.owner())?;
        self.logins.remove((&login_key(&value.login_id), id))?;
        if let Some(indexed_at) = self.indexed_at.get(&value.session_id) {
            self.expiry.remove((indexed_at.sort_key(), id))?;
        }
        self.put_tombstone(kept)
    }

    fn put_tombstone(&mut self, kept: &Kept<Tombstone>) -> Result<(), StoreError> {
        let id = kept.value.session_id.as_bytes();
        let entry = (kept.until.sort_key(), kind::TOMBSTONE, id.as_slice());
        self.tombstones.insert(id, encode(kept)?.as_slice())?;
        self.purge.insert(entry, ())?;
        Ok(())
    }

    /// Puts a tombstone where nothing is, with the token of a caller that leads to it.
    pub(super) fn restore_tombstone(&mut self, kept: &Kept<Tombstone>) -> Result<(), StoreError> {
        let Tombstone {
            session_id,
            token,
            former,
            ..
        } = &kept.value;
        let external = match token.origin {
            TokenOrigin::Caller => Some(token.hash),
            TokenOrigin::Gateway => former.as_ref().and_then(|former| former.external),
        };
        if let Some(external) = external {
            self.tokens
                .insert(external.as_bytes(), session_id.as_bytes())?;
        }
        self.put_tombstone(kept)
    }

    fn forget(&mut self, kept: &Kept<Tombstone>) -> Result<(), StoreError> {
        let Kept { until, value } = kept;
        let id = value.session_id.as_bytes();
        self.tombstones.remove(id)?;
        if value.token.origin == TokenOrigin::Caller {
            self.tokens.remove(value.token.hash.as_bytes())?;
        }
        let former = value.former.as_ref();
        if let Some(external) = former.and_then(|former| former.external) {
            self.tokens.remove(external.as_bytes())?;
        }
        self.purge
            .remove((until.sort_key(), kind::TOMBSTONE, id.as_slice()))?;
        Ok(())
    }

    pub(super) fn keep_operation(
        &mut self,
        OperationId(key): OperationId,
        kept: &Kept<OperationRecord>,
    ) -> Result<(), StoreError> {
        self.operation_ids.insert(&key, encode(kept)?.as_slice())?;
        let purge_at = kept.until.sort_key();
        self.purge
            .insert((purge_at, kind::OPERATION_ID, key.as_slice()), ())?;
        Ok(())
    }

    pub(super) fn put_ban(&mut self, ban: &Ban) -> Result<(), StoreError> {
        let login = login_key(&ban.login_id);
        self.bans.insert(&login, encode(ban)?.as_slice())?;
        if let Some(until) = ban.until {
            self.purge
                .insert((until.sort_key(), kind::BAN, login.as_slice()), ())?;
        }
        Ok(())
    }
}
