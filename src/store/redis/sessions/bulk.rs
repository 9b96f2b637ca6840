//! Ending all sessions that match: shard by shard, in steps of one slot. After each step the server is left to others for
//! as long as the step took.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::super::ABREAST;
use super::super::call::{List, call, table};
use super::super::link::{Effect, Slot};
use super::super::record::SESSION;
use super::Sessions;
use super::verify::Seen;
use crate::model::Timestamp;
use crate::model::id::{ServiceId, SessionId};
use crate::model::session::{EndReason, Ended};
use crate::store::{Access, BulkEffect, EndWhere, SessionFilter, StoreError};

/// Sessions that one step looks at: a server does nothing else while it ends them, some 100 µs each.
const STEP: usize = 5;
/// How often a session is looked at that changes between the look and the end.
const LOOKS: usize = 5;

table! {
    /// A session as it was seen; with a version and a moment only if it must not have changed since.
    struct SeenSession {
        id: SessionId,
        used: Option<Timestamp>,
        version: Option<u64>,
        last_used: Option<Timestamp>,
    }
}

call! {
    struct EndSeen<'a>: "end_seen.lua", "allow-oom", [SHARD, SESSION] {
        by: &'a ServiceId,
        reason: EndReason,
        sessions: List<SeenSession>,
    }
    SESSION, replicated: true, effect: Effect::Repeatable;
    (self, reply) -> (Timestamp, Vec<SessionId>) {
        "done" => (reply.moment()?, reply.packed_ids()?),
    }
}

impl Sessions {
    pub(super) async fn end_where(
        &self,
        which: &EndWhere,
        access: &Access,
    ) -> Result<u64, StoreError> {
        let shards = match &which.filter.login_id {
            Some(login_id) => login_id.shard()..=login_id.shard(),
            None => 0..=u8::MAX,
        };
        // The moment is fixed for all shards before the first session ends.
        let starts = stream::iter(shards.map(|shard| self.due(shard, 0))).buffered(ABREAST);
        let starts: Vec<_> = starts.try_collect().await?;
        let mut count = 0;
        for start in starts.iter().filter(|start| start.stored > 0) {
            let which = EndWhere {
                filter: which.filter.opened_until(start.at),
                ..which.clone()
            };
            count += self.end_where_in(start.slot, &which, access).await?;
        }
        Ok(count)
    }

    async fn end_where_in(
        &self,
        slot: Slot,
        which: &EndWhere,
        access: &Access,
    ) -> Result<u64, StoreError> {
        let login_id = which.filter.login_id.as_ref();
        let (mut count, mut before) = (0, None);
        loop {
            let begun = Instant::now();
            let key = login_id.map_or_else(
                || self.client.keys.ids(slot),
                |id| self.client.keys.login(id),
            );
            let ids = self.ids_before(slot, key, before, STEP).await?;
            let matched = self.end_these(slot, which, access, &ids).await?;
            count += matched as u64;
            before = ids.last().copied();
            if matched > 0 {
                sleep(begun.elapsed()).await;
            }
            if ids.len() < STEP {
                return Ok(count);
            }
        }
    }

    /// How many of these sessions matched.
    async fn end_these(
        &self,
        slot: Slot,
        which: &EndWhere,
        access: &Access,
        ids: &[SessionId],
    ) -> Result<usize, StoreError> {
        let mut left = ids.to_vec();
        let mut count = 0;
        for _look in 0..LOOKS {
            let seen = self.look_up_all(which.filter.login_id.as_ref(), &left);
            let mut matching = seen.await?;
            matching.retain(|seen| {
                let seen = seen.as_deref();
                seen.is_some_and(|seen| self.matches(seen, &which.filter, access))
            });
            let matching: Vec<_> = matching.into_iter().flatten().collect();
            if matching.is_empty() {
                break;
            }
            let ended: HashSet<_> = match which.effect {
                BulkEffect::Count => return Ok(matching.len()),
                BulkEffect::End => self.end_seen(slot, which, access, &matching).await?,
            };
            count += ended.len();
            let matching = matching.iter().map(|seen| seen.record.session.session_id);
            left = matching.filter(|id| !ended.contains(id)).collect();
        }
        Ok(count)
    }

    fn matches(&self, seen: &Seen, filter: &SessionFilter, access: &Access) -> bool {
        let Seen { record, now } = seen;
        let state = record.shown_state(record.life(), *now, self.settings.idle_after);
        access.scope.covers(&record.session.service_id) && filter.matches(&record.session, state)
    }

    async fn end_seen(
        &self,
        slot: Slot,
        which: &EndWhere,
        access: &Access,
        seen: &[Box<Seen>],
    ) -> Result<HashSet<SessionId>, StoreError> {
        let changing = which.filter.asks_for_what_changes();
        let sessions = seen.iter().map(|seen| {
            let session = &seen.record.session;
            SeenSession {
                id: session.session_id,
                used: self.activity.used(session.session_id),
                version: changing.then_some(session.version),
                last_used: changing.then_some(session.last_active_at),
            }
        });
        let end = EndSeen {
            by: &access.service_id,
            reason: which.reason,
            sessions: List(sessions.collect()),
        };
        let (now, ended) = self.client.call(slot, &end).await?;
        let how = Ended::by_service(which.reason, now, access.service_id.clone());
        self.remember_ends(&ended, &how);
        Ok(ended.into_iter().collect())
    }
}
