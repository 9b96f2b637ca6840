//! What a failover cannot take back. Redis replicates late: a replica that takes over, or a server that starts from an
//! old snapshot, may know nothing of endings that were acknowledged. So each node keeps those of the last 15 minutes, its
//! own at once and others as it hears of them. When the history of a master is another than before, they are applied
//! again: a session that lives again ends as it did, with its event; a token that was rotated gets the same successor; a
//! service becomes as it was left, and a login is banned or not as before.
//!
//! Several nodes may do this at once, and each goes on until it is done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::call::{List, call, table};
use super::client::Client;
use super::connections::{Effect, Slot, Topology};
use super::feed::Feed;
use super::record::SESSION;
use super::services::Services;
use super::sessions::Sessions;
use super::streams::{self, PARTITIONS, STREAMS};
use crate::model::Timestamp;
use crate::model::id::{ServiceId, SessionId};
use crate::model::session::{EndDetail, EndReason, Ended};
use crate::store::node::recovery::RecoveryLog;
use crate::store::node::tail::Watermarks;
use crate::store::{Partition, StoreError};

mod learn;
mod rotations;
mod services;

pub(super) use learn::learn_until;

/// What it takes to apply again what a failover has taken back.
#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) client: Arc<Client>,
    pub(super) feed: Arc<Feed>,
    pub(super) watermarks: Arc<Watermarks>,
    pub(super) log: Arc<RecoveryLog>,
    pub(super) services: Arc<Services>,
    pub(super) sessions: Arc<Sessions>,
}

/// How often what is older is dropped.
const TIDY: Duration = Duration::from_secs(10);
/// Endings that one step applies again.
const STEP: usize = 200;
/// Streams that are worked on at a time, so that requests find their turn between the steps.
const STREAMS_AT_A_TIME: usize = 8;
/// After which everything is looked at once more: by then no request to the master before is under way, whose answer
/// could still acknowledge something.
const ONCE_MORE: Duration = Duration::from_secs(1);
/// Before what failed is tried again.
const RETRY: Duration = Duration::from_millis(100);

table! {
    struct EndingLeft<'a> {
        id: SessionId,
        reason: EndReason,
        at: Timestamp,
        by: Option<&'a ServiceId>,
        detail: Option<&'a EndDetail>,
    }
}

call! {
    struct EndAgain<'a>: "end_again.lua", "allow-oom", [SHARD, SESSION] {
        endings: List<EndingLeft<'a>>,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> u64 { "done" => reply.number()?.unsigned_abs(), }
}

/// Streams whose history is another than before, and what was done about it so far.
#[derive(Debug, Default)]
struct Work {
    due: BTreeSet<Partition>,
    once_more: BTreeSet<Partition>,
    noticed: Option<Instant>,
    parts: usize,
    sessions: u64,
    services: u64,
}

/// Applies again what failovers take back, until the store is closed.
pub(super) async fn guard_until(recovery: Arc<Recovery>, closed: CancellationToken) {
    let mut topology = recovery.client.connections.topology();
    let mut histories = vec![None; STREAMS];
    let mut work = Work::default();
    let mut tidy = interval(TIDY);
    topology.mark_changed();
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            Ok(()) = topology.changed() => {
                let replaced = replaced(&mut histories, &topology.borrow_and_update());
                work.add(replaced);
            }
            _ = tidy.tick() => recovery.log.forget_old(),
            () = recovery.apply_again(&mut work), if !work.due.is_empty() => {}
            () = sleep(ONCE_MORE), if work.due.is_empty() && !work.once_more.is_empty() => {
                work.due = std::mem::take(&mut work.once_more);
            }
        }
    }
}

/// The streams whose master continues another history than before. The first that is seen is no change.
fn replaced(histories: &mut [Option<Arc<str>>], topology: &Topology) -> Vec<Partition> {
    let mut replaced = Vec::new();
    for (stream, history) in PARTITIONS.all().zip(histories) {
        let master = topology.master_of(streams::slot(stream));
        let Some(now) = master.and_then(|master| master.replication_id.as_ref()) else {
            continue;
        };
        if history.as_ref().is_some_and(|before| before != now) {
            replaced.push(stream);
        }
        *history = Some(Arc::clone(now));
    }
    replaced
}

impl Work {
    fn add(&mut self, replaced: Vec<Partition>) {
        if !replaced.is_empty() {
            self.noticed = Some(Instant::now());
            self.parts += replaced.len();
            self.due.extend(&replaced);
            self.once_more.extend(replaced);
        }
    }

    /// The log tells of a second look only if it found something.
    fn log(&mut self) {
        let second = self.once_more.is_empty();
        if !second || self.sessions + self.services > 0 {
            tracing::info!(
                parts = self.parts,
                sessions = self.sessions,
                services = self.services,
                took_ms = self
                    .noticed
                    .map_or(0, |noticed| noticed.elapsed().as_millis()),
                "redis.failover: what it took back was applied again"
            );
        }
        (self.parts, self.sessions, self.services) = (0, 0, 0);
    }
}

impl Recovery {
    /// Does what can be done now; pauses if that is not all.
    async fn apply_again(&self, work: &mut Work) {
        let noticed = work.noticed;
        let streams: Vec<Partition> = work.due.iter().copied().collect();
        let parts = streams.into_iter().map(|stream| async move {
            let applied = if stream == PARTITIONS.of_services() {
                self.write_services_again(noticed).await
            } else {
                self.leave_logins_again(stream).await.map(Some)
            };
            (stream, applied)
        });
        let mut parts = stream::iter(parts).buffer_unordered(STREAMS_AT_A_TIME);
        while let Some((stream, applied)) = parts.next().await {
            let Ok(Some(count)) = applied else {
                continue;
            };
            work.due.remove(&stream);
            if stream == PARTITIONS.of_services() {
                work.services += count;
            } else {
                work.sessions += count;
            }
        }
        if !work.due.is_empty() {
            return sleep(RETRY).await;
        }
        work.log();
    }

    /// How many sessions of a shard were not as they were left.
    async fn leave_logins_again(&self, shard: Partition) -> Result<u64, StoreError> {
        // Bans first, so that nobody opens a session behind the endings; rotations last, so that none is made of a session
        // that is to end.
        for left in self.log.bans(shard) {
            self.sessions.leave_ban_again(&left).await?;
        }
        Ok(self.end_again(shard).await? + self.rotate_again(shard).await?)
    }

    /// How many sessions of a shard lived again.
    async fn end_again(&self, shard: Partition) -> Result<u64, StoreError> {
        let mut count = 0;
        for seen in (0..).step_by(STEP) {
            let endings = self.log.endings(shard, seen, STEP);
            if endings.is_empty() {
                break;
            }
            count += self.end_these_again(streams::slot(shard), &endings).await?;
        }
        Ok(count)
    }

    async fn end_these_again(
        &self,
        slot: Slot,
        endings: &[(SessionId, Ended)],
    ) -> Result<u64, StoreError> {
        let endings = endings.iter().map(|(id, ended)| EndingLeft {
            id: *id,
            reason: ended.reason,
            at: ended.at,
            by: ended.by.as_ref(),
            detail: ended.detail.as_ref(),
        });
        let endings = List(endings.collect());
        self.client.call(slot, &EndAgain { endings }).await
    }
}
