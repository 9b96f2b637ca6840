//! Reads of many sessions: pages, counts. Each is made of one snapshot.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata};

use super::Shared;
use super::rows::load;
use super::stored::StoredSession;
use super::tables::{Bytes, EXPIRY, FIRST_ID, Id, LAST_ID, LOGINS, LoginKey, SESSIONS, login_key};
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, SessionId};
use crate::model::page::{PageLimit, PageRoom};
use crate::model::permission::Scope;
use crate::model::session::Session;
use crate::store::StoreError;

pub(super) struct Listing {
    pub(super) filter: SessionFilter,
    pub(super) scope: Scope,
    pub(super) limit: PageLimit,
    pub(super) before: Option<SessionId>,
}

type IdResult = Result<Id, StoreError>;

impl Listing {
    /// What of a page is wanted, and the session that was looked at last if more follow.
    pub(super) fn read(
        &self,
        shared: &Shared,
    ) -> Result<(Vec<Session>, Option<SessionId>), StoreError> {
        let now = shared.now();
        let read = shared.read()?;
        let sessions = read.open_table(SESSIONS)?;
        let mut ids = self.ids(&read, &sessions)?;
        let (mut items, mut last) = (Vec::new(), None);
        let mut room = PageRoom::new(self.limit);
        while let Some(id) = ids.next().transpose()? {
            if room.is_over() {
                return Ok((items, last));
            }
            let live = live(shared, &sessions, id, now)?;
            room.look(live.as_ref().map_or(0, attribute_bytes));
            if let Some(session) = live.and_then(|stored| self.wanted(shared, stored, now)) {
                if !room.take(&session) {
                    return Ok((items, last));
                }
                items.push(session);
            }
            last = Some(SessionId::from_bytes(id));
        }
        Ok((items, None))
    }

    /// The ids to look at, newest first.
    fn ids<'a>(
        &self,
        read: &ReadTransaction,
        sessions: &'a ReadOnlyTable<&'static Id, Bytes>,
    ) -> Result<Box<dyn Iterator<Item = IdResult> + 'a>, StoreError> {
        let before = self.before.as_ref().map_or(&LAST_ID, SessionId::as_bytes);
        Ok(match &self.filter.login_id {
            None => {
                let range = sessions.range::<&Id>(..before)?;
                Box::new(range.rev().map(|row| Ok(*row?.0.value())))
            }
            Some(login_id) => {
                let login = login_key(login_id);
                let range = read
                    .open_table(LOGINS)?
                    .range((&login, &FIRST_ID)..(&login, before))?;
                Box::new(range.rev().map(|row| Ok(*row?.0.value().1)))
            }
        })
    }

    fn wanted(&self, shared: &Shared, stored: StoredSession, now: Timestamp) -> Option<Session> {
        if !stored.record.is_within(&self.scope) {
            return None;
        }
        let session = shared.terms(now).shown(stored.record);
        Some(session).filter(|session| self.filter.matches(session, session.state))
    }
}

fn attribute_bytes(stored: &StoredSession) -> usize {
    stored.record.session.attributes.bytes()
}

/// How many sessions are live: all that are stored, without those that are over and not yet swept.
pub(super) fn count(shared: &Shared) -> Result<u64, StoreError> {
    let read = shared.read()?;
    let sessions = read.open_table(SESSIONS)?;
    let over = count_over(shared, &read, &sessions, |_id| Ok(true))?;
    let mut marked = 0;
    for login in shared.marks.logins() {
        marked += count_marked(shared, &read, &sessions, &login)?;
    }
    Ok(sessions.len()?.saturating_sub(over + marked))
}

/// The same of one login.
pub(super) fn count_of_login(shared: &Shared, login_id: &LoginId) -> Result<u64, StoreError> {
    let login = login_key(login_id);
    let read = shared.read()?;
    let (sessions, logins) = (read.open_table(SESSIONS)?, read.open_table(LOGINS)?);
    let is_own = |id: &Id| Ok(logins.get((&login, id))?.is_some());
    let over = count_over(shared, &read, &sessions, is_own)?;
    let marked = match shared.marks.find(Some(&login)) {
        Some(_) => count_marked(shared, &read, &sessions, &login)?,
        None => 0,
    };
    Ok(members(&logins, &login)?.saturating_sub(over + marked))
}

fn count_over(
    shared: &Shared,
    read: &ReadTransaction,
    sessions: &ReadOnlyTable<&'static Id, Bytes>,
    counts: impl Fn(&Id) -> Result<bool, StoreError>,
) -> Result<u64, StoreError> {
    let now = shared.now();
    let due = read.open_table(EXPIRY)?;
    let mut over = 0;
    for entry in due.range((0, &FIRST_ID)..=(now.sort_key(), &LAST_ID))? {
        let key = entry?.0;
        let (_, id) = key.value();
        if counts(id)? && live(shared, sessions, *id, now)?.is_none() {
            over += 1;
        }
    }
    Ok(over)
}

/// Those that a ban has marked, but for those that are looked at as their expiry is due.
fn count_marked(
    shared: &Shared,
    read: &ReadTransaction,
    sessions: &ReadOnlyTable<&'static Id, Bytes>,
    login: &Id,
) -> Result<u64, StoreError> {
    let now = shared.now();
    let mut count = 0;
    let logins = read.open_table(LOGINS)?;
    for row in logins.range((login, &FIRST_ID)..=(login, &LAST_ID))? {
        let key = row?.0;
        let (_, id) = key.value();
        if let Some(StoredSession {
            mut record,
            indexed_at,
        }) = load(sessions, SessionId::from_bytes(*id))?
        {
            shared.overlay(&mut record);
            count += u64::from(indexed_at > now && record.marked.is_some());
        }
    }
    Ok(count)
}

pub(super) fn index_size(shared: &Shared, login_id: &LoginId) -> Result<u64, StoreError> {
    let index = shared.read()?.open_table(LOGINS)?;
    members(&index, &login_key(login_id))
}

fn members(logins: &ReadOnlyTable<LoginKey, ()>, login: &Id) -> Result<u64, StoreError> {
    let mut members = 0;
    for row in logins.range((login, &FIRST_ID)..=(login, &LAST_ID))? {
        row?;
        members += 1;
    }
    Ok(members)
}

/// The session with this id, unless it is over.
fn live(
    shared: &Shared,
    sessions: &ReadOnlyTable<&'static Id, Bytes>,
    id: Id,
    now: Timestamp,
) -> Result<Option<StoredSession>, StoreError> {
    let mut stored = load(sessions, SessionId::from_bytes(id))?;
    if let Some(stored) = &mut stored {
        shared.overlay(&mut stored.record);
    }
    Ok(stored.filter(|stored| stored.record.over(now).is_none()))
}
