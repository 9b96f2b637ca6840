//! Ending all sessions that match: shard by shard, in steps of one slot. After each step the server is left to others for
//! as long as the step took.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::super::args::Args;
use super::super::link::{Effect, Slot};
use super::super::{ABREAST, scripts};
use super::Sessions;
use super::verify::Seen;
use crate::model::id::SessionId;
use crate::store::{Access, BulkEffect, EndWhere, SessionFilter, StoreError};

/// Sessions that one step looks at: a server does nothing else while it ends them, some 100 µs each.
const STEP: usize = 5;
/// How often a session is looked at that changes between the look and the end.
const LOOKS: usize = 5;

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
        let session = self.shown(seen.record.clone(), seen.now);
        access.scope.covers(&session.service_id) && filter.matches(&session)
    }

    async fn end_seen(
        &self,
        slot: Slot,
        which: &EndWhere,
        access: &Access,
        seen: &[Box<Seen>],
    ) -> Result<HashSet<SessionId>, StoreError> {
        let changing = which.filter.asks_for_what_changes();
        let args = Args::new()
            .show(&access.service_id)
            .text(which.reason.as_str())
            .show(seen.len());
        let args = seen.iter().fold(args, |args, seen| {
            let session = &seen.record.session;
            args.bytes(session.session_id.as_bytes())
                .maybe(self.activity.used(session.session_id))
                .maybe(changing.then_some(session.version))
                .maybe(changing.then(|| session.last_active_at.millis()))
        });
        let reply = self
            .client
            .run_replicated(slot, &scripts::END_SEEN, args, Effect::Repeatable)
            .await?;
        let ended = self.ended_by(access, which.reason, None, reply)?;
        Ok(ended.into_iter().collect())
    }
}
