//! Endings of many, in steps of one slot: where a script can judge by itself what is meant, at once, and else what was
//! looked at before, if it has not changed since.

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::super::ABREAST;
use super::super::activity::Noted;
use super::super::call::{List, call, table};
use super::super::connections::{Effect, Slot};
use super::super::hiccups::{Attempt, Hiccup};
use super::super::keys::{login_key, slot_of_login};
use super::super::record::SESSION;
use super::Sessions;
use super::changes::scope;
use super::verify::Seen;
use crate::model::Timestamp;
use crate::model::filter::SessionFilter;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::session::{Device, EndDetail, EndReason};
use crate::rules::end::EndBatch;
use crate::store::{EndPosition, EndedBatch, StoreError};

/// Sessions of a login that one step ends at the most: a server does nothing else meanwhile, some 100 µs for each.
const MEMBERS: usize = 50;
/// The same of those of all logins, which is not urgent.
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
        detail: Option<&'a EndDetail>,
        again: bool,
        sessions: List<SeenSession>,
    }
    SESSION, replicated: true, effect: effect(self.again);
    (self, reply) -> (Timestamp, Vec<SessionId>) {
        "done" => (reply.moment()?, reply.packed_ids()?),
    }
}

call! {
    struct EndMany<'a>: "end_many.lua", "allow-oom", [SHARD, SESSION] {
        login_key: Vec<u8>,
        login: &'a LoginId,
        scope: Option<String>,
        by: &'a ServiceId,
        reason: EndReason,
        detail: Option<&'a EndDetail>,
        except: Option<SessionId>,
        device: Option<&'a Device>,
        moment: Timestamp,
        again: bool,
        sessions: List<Noted>,
    }
    SESSION, replicated: true, effect: effect(self.again);
    (self, reply) -> (Timestamp, Vec<SessionId>) {
        "done" => (reply.moment()?, reply.packed_ids()?),
    }
}

impl Sessions {
    pub(super) async fn end_batch(
        &self,
        batch: &EndBatch,
        from: Option<EndPosition>,
        most: usize,
    ) -> Result<EndedBatch, StoreError> {
        if let Some(login_id) = judged_by_script(&batch.filter) {
            let most = most.min(MEMBERS);
            return self.end_members(login_id, batch, from.as_ref(), most).await;
        }
        let position = match from {
            Some(position) => Some(position),
            None => self.begin_through(&batch.filter).await?,
        };
        match position {
            Some(position) => self.end_matching(batch, position, most.min(STEP)).await,
            None => Ok(EndedBatch::default()),
        }
    }

    /// A step over the sessions of one login.
    async fn end_members(
        &self,
        login_id: &LoginId,
        batch: &EndBatch,
        from: Option<&EndPosition>,
        most: usize,
    ) -> Result<EndedBatch, StoreError> {
        let after = from.and_then(|from| from.last);
        let (now, ids) = self.members(login_id, after, most).await?;
        let moment = from.map_or(now, |from| from.moment);
        let end = |attempt| EndMany {
            login_key: login_key(login_id),
            login: login_id,
            scope: scope(&batch.access.scope),
            by: &batch.access.service_id,
            reason: batch.reason,
            detail: batch.detail.as_ref(),
            except: batch.except,
            device: batch.filter.device.as_ref(),
            moment,
            again: attempt == Attempt::Again,
            sessions: self.activity.noted(&ids),
        };
        let slot = slot_of_login(login_id);
        let ended = self.client.call_through(slot, end).await?;
        // Whatever follows a step that is not full was opened after that moment.
        let last = ids.last().filter(|_| ids.len() == most).copied();
        Ok(EndedBatch {
            ended: self.remember_batch(batch, ended),
            next: last.map(|last| EndPosition::after(last, moment)),
        })
    }

    async fn begin_through(
        &self,
        filter: &SessionFilter,
    ) -> Result<Option<EndPosition>, StoreError> {
        let hiccup = Hiccup::begin();
        loop {
            match self.begin(filter).await {
                Err(error) => hiccup.wait(error).await?,
                position => return position,
            }
        }
    }

    /// Fixes the moment for all shards before the first session ends.
    async fn begin(&self, filter: &SessionFilter) -> Result<Option<EndPosition>, StoreError> {
        let shards = match &filter.login_id {
            Some(login_id) => login_id.shard()..=login_id.shard(),
            None => 0..=u8::MAX,
        };
        let dues = shards.rev().map(|shard| async move {
            let due = self.due(shard, 0).await?;
            Ok::<_, StoreError>((due.stored > 0).then_some((shard, due.at)))
        });
        let dues: Vec<_> = stream::iter(dues).buffered(ABREAST).try_collect().await?;
        Ok(next_shard(dues.into_iter().flatten().collect()))
    }

    /// A step over a shard. After it the server is left to others for as long as it took.
    async fn end_matching(
        &self,
        batch: &EndBatch,
        position: EndPosition,
        most: usize,
    ) -> Result<EndedBatch, StoreError> {
        let begun = Instant::now();
        let slot = Slot::Shard(position.shard);
        let key = match &batch.filter.login_id {
            Some(login_id) => self.client.keys.login(login_id),
            None => self.client.keys.ids(slot),
        };
        let ids = self.ids_through(slot, &key, position.last, most).await?;
        let batch = EndBatch {
            filter: batch.filter.opened_until(position.moment),
            ..batch.clone()
        };
        let ended = self.end_these(slot, &batch, &ids).await?;
        if !ended.is_empty() {
            sleep(begun.elapsed()).await;
        }
        let next = match ids.last().filter(|_| ids.len() == most) {
            Some(last) => Some(EndPosition {
                last: Some(*last),
                ..position
            }),
            None => next_shard(position.shards),
        };
        Ok(EndedBatch { ended, next })
    }

    async fn ids_through(
        &self,
        slot: Slot,
        key: &[u8],
        before: Option<SessionId>,
        most: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let hiccup = Hiccup::begin();
        loop {
            match self.ids_before(slot, key.to_vec(), before, most).await {
                Err(error) => hiccup.wait(error).await?,
                ids => return ids,
            }
        }
    }

    async fn look_up_through(
        &self,
        login_id: Option<&LoginId>,
        ids: &[SessionId],
    ) -> Result<Vec<Option<Box<Seen>>>, StoreError> {
        let hiccup = Hiccup::begin();
        loop {
            match self.look_up_all(login_id, ids).await {
                Err(error) => hiccup.wait(error).await?,
                seen => return seen,
            }
        }
    }

    /// Which of these sessions matched, and ended.
    async fn end_these(
        &self,
        slot: Slot,
        batch: &EndBatch,
        ids: &[SessionId],
    ) -> Result<Vec<SessionId>, StoreError> {
        let login_id = batch.filter.login_id.as_ref();
        let mut left = ids.to_vec();
        let mut all = Vec::new();
        for _look in 0..LOOKS {
            let seen = self.look_up_through(login_id, &left).await?;
            let mut matching: Vec<_> = seen.into_iter().flatten().collect();
            matching.retain(|seen| batch.means(&seen.record, &self.terms(seen.now)));
            if matching.is_empty() {
                break;
            }
            let ended = self.end_seen(slot, batch, &matching).await?;
            let matching = matching.iter().map(|seen| seen.record.session.session_id);
            left = matching.filter(|id| !ended.contains(id)).collect();
            all.extend(ended);
        }
        Ok(all)
    }

    async fn end_seen(
        &self,
        slot: Slot,
        batch: &EndBatch,
        seen: &[Box<Seen>],
    ) -> Result<Vec<SessionId>, StoreError> {
        let changing = batch.filter.asks_for_what_changes();
        let seen_session = |seen: &Seen| {
            let session = &seen.record.session;
            SeenSession {
                id: session.session_id,
                used: self.activity.used(session.session_id),
                version: changing.then_some(session.version),
                last_used: changing.then_some(session.last_active_at),
            }
        };
        let end = |attempt| EndSeen {
            by: &batch.access.service_id,
            reason: batch.reason,
            detail: batch.detail.as_ref(),
            again: attempt == Attempt::Again,
            sessions: List(seen.iter().map(|seen| seen_session(seen)).collect()),
        };
        let ended = self.client.call_through(slot, end).await?;
        Ok(self.remember_batch(batch, ended))
    }

    fn remember_batch(
        &self,
        batch: &EndBatch,
        (now, ended): (Timestamp, Vec<SessionId>),
    ) -> Vec<SessionId> {
        self.remember_ends(&ended, &batch.ended(now));
        ended
    }
}

/// The first attempt has an answer that no second one would give: what it ended is over then.
const fn effect(again: bool) -> Effect {
    if again {
        Effect::Repeatable
    } else {
        Effect::Once
    }
}

/// The login of which all sessions are meant, or those on one kind of device: no more does a script judge by itself.
fn judged_by_script(filter: &SessionFilter) -> Option<&LoginId> {
    let beside_device = SessionFilter {
        device: None,
        ..filter.clone()
    };
    let login_id = filter.login_id.as_ref();
    login_id.filter(|_| beside_device.asks_for_login_only())
}

fn next_shard(mut shards: Vec<(u8, Timestamp)>) -> Option<EndPosition> {
    let (shard, moment) = shards.pop()?;
    Some(EndPosition {
        moment,
        last: None,
        shard,
        shards,
    })
}
