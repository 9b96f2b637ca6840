//! Reads of many sessions: pages, counts. Ids come from the indexes in their order, and each
//! record is judged by itself; what an index tells of and is not there is repaired.

use std::collections::BinaryHeap;

use deadpool_redis::redis;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::ABREAST;
use super::super::connections::Slot;
use super::super::keys::{login_key, slot_of, slot_of_login};
use super::super::reply::ids;
use super::Sessions;
use super::verify::Seen;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, SessionId};
use crate::model::page::{Cursor, Page, PageLimit, PageRoom};
use crate::model::permission::Scope;
use crate::model::session::Session;
use crate::rules::entry::Lookup;
use crate::rules::lists;
use crate::store::{OpError, StoreError};

/// Ids that are found at a time when a filter may pass most of them over.
const CHUNK: usize = 500;
/// Records that are read at a time while nothing is known of their sizes.
const FIRST_RECORDS: usize = 16;
/// Bytes of attributes that are read at a time, if sizes are alike.
const BYTES_AT_A_TIME: usize = 2 * 1_024 * 1_024;
/// Ids that are taken from each shard at first, when all are asked.
const FIRST_IDS: usize = 4;

/// The ids of one shard that are still to be merged, the newest last.
struct ShardIds {
    slot: Slot,
    ids: Vec<SessionId>,
    drained: bool,
}

/// A page that is being filled.
struct Filling {
    items: Vec<Session>,
    room: PageRoom,
    /// What it has looked at last.
    last: Option<SessionId>,
    /// How many records are read at a time.
    abreast: usize,
}

impl Filling {
    fn after(last: Option<SessionId>, limit: PageLimit) -> Self {
        Self {
            items: Vec::new(),
            room: PageRoom::new(limit),
            last,
            abreast: FIRST_RECORDS,
        }
    }

    /// Those that follow are taken to be as large as the largest of these.
    fn measure(&mut self, records: &[Option<Box<Seen>>]) {
        let sizes = records.iter().map(|seen| bytes_of(seen.as_deref()));
        let largest = sizes.max().unwrap_or_default().max(1);
        self.abreast = (BYTES_AT_A_TIME / largest).clamp(1, ABREAST);
    }
}

/// What its attributes take; all else of a session has its bounds.
fn bytes_of(seen: Option<&Seen>) -> usize {
    seen.map_or(0, |seen| seen.record.session.attributes.bytes())
}

impl Sessions {
    pub(super) async fn list(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        limit: PageLimit,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Session>, OpError> {
        let login_id = filter.login_id.as_ref();
        let takes_all = filter.asks_for_login_only() && *scope == Scope::All;
        let chunk = if takes_all { limit.get() } else { CHUNK };
        let mut page = Filling::after(lists::position(cursor)?, limit);
        loop {
            let most = page.room.records().min(chunk);
            let mut found = self.newest(login_id, page.last, most + 1).await?;
            let more = found.len() > most;
            found.truncate(most);
            let is_through = self.fill(&mut page, filter, scope, &found).await?;
            let goes_on = more || !is_through;
            if !goes_on || !is_through || page.room.is_over() {
                let next = page.last.filter(|_| goes_on).map(lists::cursor_after);
                return Ok(Page {
                    items: page.items,
                    next,
                });
            }
        }
    }

    /// Looks at sessions for as long as the page has room; tells whether it had for all.
    async fn fill(
        &self,
        page: &mut Filling,
        filter: &SessionFilter,
        scope: &Scope,
        ids: &[SessionId],
    ) -> Result<bool, StoreError> {
        let mut left = ids;
        while !left.is_empty() {
            let (ids, rest) = left.split_at(page.abreast.min(left.len()));
            let records = self.look_up_all(filter.login_id.as_ref(), ids).await?;
            page.measure(&records);
            for (id, seen) in ids.iter().zip(records) {
                if page.room.is_over() {
                    return Ok(false);
                }
                page.room.look(bytes_of(seen.as_deref()));
                if let Some(session) = self.wanted(filter, scope, seen) {
                    if !page.room.take(&session) {
                        return Ok(false);
                    }
                    page.items.push(session);
                }
                page.last = Some(*id);
            }
            left = rest;
        }
        Ok(true)
    }

    fn wanted(
        &self,
        filter: &SessionFilter,
        scope: &Scope,
        seen: Option<Box<Seen>>,
    ) -> Option<Session> {
        seen.filter(|seen| seen.record.is_within(scope))
            .map(|seen| self.shown(seen.record, seen.now))
            .filter(|session| filter.matches(session, session.state))
    }

    /// The newest ids before one, of a login or of all.
    async fn newest(
        &self,
        login_id: Option<&LoginId>,
        before: Option<SessionId>,
        most: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        match login_id {
            Some(login_id) => {
                let slot = slot_of_login(login_id);
                let key = self.client.keys.login(login_id);
                self.ids_before(slot, key, before, most).await
            }
            None => self.newest_of_all(before, most).await,
        }
    }

    pub(super) async fn ids_before(
        &self,
        slot: Slot,
        key: Vec<u8>,
        before: Option<SessionId>,
        most: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let from = before.map_or_else(
            || b"+".to_vec(),
            |id| [b"(".as_slice(), id.as_bytes()].concat(),
        );
        let mut read = redis::cmd("ZREVRANGEBYLEX");
        read.arg(key)
            .arg(from)
            .arg("-")
            .arg("LIMIT")
            .arg(0)
            .arg(most);
        ids(self.client.command(slot, &read).await?)
    }

    /// Merges the shards: the newest id of all is always the newest of some shard.
    async fn newest_of_all(
        &self,
        before: Option<SessionId>,
        most: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let first = most.min(FIRST_IDS);
        let shards = (0..=u8::MAX).map(|shard| self.source(Slot::Shard(shard), before, first));
        let sources: Vec<_> = stream::iter(shards).buffered(ABREAST).try_collect().await?;
        let mut sources: Vec<ShardIds> = sources;
        let mut heads: BinaryHeap<_> = sources
            .iter_mut()
            .enumerate()
            .filter_map(|(at, source)| Some((source.ids.pop()?, at)))
            .collect();
        let mut newest = Vec::new();
        while newest.len() < most
            && let Some((id, at)) = heads.pop()
        {
            newest.push(id);
            let Some(source) = sources.get_mut(at) else {
                continue;
            };
            if source.ids.is_empty() && !source.drained {
                *source = self.source(source.slot, Some(id), most).await?;
            }
            heads.extend(source.ids.pop().map(|id| (id, at)));
        }
        Ok(newest)
    }

    async fn source(
        &self,
        slot: Slot,
        before: Option<SessionId>,
        most: usize,
    ) -> Result<ShardIds, StoreError> {
        let key = self.client.keys.ids(slot);
        let mut ids = self.ids_before(slot, key, before, most).await?;
        ids.reverse();
        Ok(ShardIds {
            slot,
            drained: ids.len() < most,
            ids,
        })
    }

    /// The live ones among these sessions, in their order.
    pub(super) async fn look_up_all(
        &self,
        login_id: Option<&LoginId>,
        ids: &[SessionId],
    ) -> Result<Vec<Option<Box<Seen>>>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        let mut reads =
            stream::iter(ids.iter().copied().map(|id| self.look_up(id))).buffered(ABREAST);
        let mut ghosts = Vec::new();
        for id in ids {
            let Some(read) = reads.next().await else {
                break;
            };
            found.push(match read? {
                Lookup::Live(seen) => Some(seen),
                Lookup::Ended(_) => None,
                Lookup::Unknown => {
                    ghosts.push(*id);
                    None
                }
            });
        }
        self.repair(login_id, &ghosts).await;
        Ok(found)
    }

    /// Takes what is not there out of the indexes. What fails is met again.
    async fn repair(&self, login_id: Option<&LoginId>, ghosts: &[SessionId]) {
        let key = login_id.map(login_key);
        for ghost in ghosts {
            let repaired = self
                .end_expired(slot_of(*ghost), key.clone(), &[*ghost])
                .await;
            if let Err(error) = repaired {
                tracing::warn!(%error, "an index of sessions could not be repaired");
                return;
            }
        }
    }
}
