//! Bans whose endings have not come to all sessions yet: until then those that are left are told as ended. As nothing is
//! opened while a login is banned, the bans themselves and the index of their logins tell that again after a restart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{ReadTransaction, ReadableTable};

use super::record::decode;
use super::rows::session_ids;
use super::tables::{BANS, Id, LOGINS, login_key};
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::login::Ban;
use crate::model::record::SessionRecord;
use crate::model::session::{EndReason, Ended};
use crate::store::StoreError;

/// A ban, and up to where its endings have come.
#[derive(Debug, Clone)]
pub(super) struct Marked {
    pub(super) ban: Ban,
    pub(super) last: Option<SessionId>,
}

type Bans = HashMap<Id, Marked>;

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Whether there is any: nearly always there is none.
    any: AtomicBool,
    bans: RwLock<Bans>,
}

impl Marks {
    fn read(&self) -> RwLockReadGuard<'_, Bans> {
        self.bans.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Bans> {
        self.bans.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, ban: Ban) {
        let mut bans = self.write();
        bans.insert(login_key(&ban.login_id), Marked { ban, last: None });
        self.any.store(true, Ordering::Release);
    }

    /// The endings of a ban have come up to a session, or to all.
    pub(super) fn advance(&self, ban: &Ban, last: Option<SessionId>) {
        let mut bans = self.write();
        let login = login_key(&ban.login_id);
        let marked = bans.get_mut(&login).filter(|marked| marked.ban == *ban);
        match (marked, last) {
            (None, _) => {}
            (Some(marked), Some(_)) => marked.last = last,
            (Some(_), None) => {
                bans.remove(&login);
                self.any.store(!bans.is_empty(), Ordering::Release);
            }
        }
    }

    /// The keys of the logins.
    pub(super) fn logins(&self) -> Vec<Id> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.read().keys().copied().collect()
    }

    /// One of the bans, of a login or of any.
    pub(super) fn find(&self, login: Option<&Id>) -> Option<Marked> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let bans = self.read();
        let found = match login {
            Some(login) => bans.get(login),
            None => bans.values().next(),
        };
        found.cloned()
    }

    /// Puts the mark of a session, if it has one, into its record.
    pub(super) fn overlay(&self, record: &mut SessionRecord, now: impl FnOnce() -> Timestamp) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let (session, now) = (&record.session, now());
        let bans = self.read();
        let marked = bans.get(&login_key(&session.login_id));
        record.marked = marked
            .map(|marked| &marked.ban)
            .filter(|ban| ban.login_id == session.login_id)
            // Whatever is there while the login is banned was opened before, whatever a clock said then.
            .filter(|ban| ban.holds(now) || session.created_at <= ban.at)
            .map(|ban| Ended {
                detail: Some(ban.reason.clone()),
                ..Ended::by_service(EndReason::Banned, ban.at, ban.by.clone())
            });
    }

    /// The marks that a store had when it was closed.
    pub(super) fn load(read: &ReadTransaction) -> Result<Self, StoreError> {
        let marks = Self::default();
        let (bans, logins) = (read.open_table(BANS)?, read.open_table(LOGINS)?);
        for row in bans.iter()? {
            let ban: Ban = match decode(row?.1.value()) {
                Ok(ban) => ban,
                // Whoever needs it says so.
                Err(StoreError::Corrupt { .. } | StoreError::NewerFormat { .. }) => continue,
                Err(error) => return Err(error),
            };
            if !session_ids(&logins, &ban.login_id, None, 1)?.is_empty() {
                marks.put(ban);
            }
        }
        Ok(marks)
    }
}
