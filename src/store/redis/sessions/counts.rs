//! Exact counts: what an index tells of, without those that are over and not yet swept.

use deadpool_redis::redis;
use futures_util::{StreamExt, stream};

use super::super::ABREAST;
use super::super::keys::slot_of_login;
use super::super::reply::{Reply, number};
use super::Sessions;
use super::sweep::Due;
use crate::model::id::{LoginId, SessionId};
use crate::store::StoreError;

/// Sessions of one shard that a count looks at; of more, those that are over end first.
const COUNTED: usize = 1_000;

impl Sessions {
    pub(super) async fn count(&self, login_id: Option<&LoginId>) -> Result<u64, StoreError> {
        if let Some(login_id) = login_id {
            return self.count_of_login(login_id).await;
        }
        let mut counts = stream::iter((0..=u8::MAX).map(|shard| self.count_shard(shard)))
            .buffer_unordered(ABREAST);
        let mut sum = 0;
        while let Some(count) = counts.next().await {
            sum += count?;
        }
        Ok(sum)
    }

    pub(super) async fn index_size(&self, login_id: &LoginId) -> Result<u64, StoreError> {
        let mut read = redis::cmd("ZCARD");
        read.arg(self.client.keys.login(login_id));
        let size = self.client.command(slot_of_login(login_id), &read).await?;
        number(size).map(i64::unsigned_abs)
    }

    /// All that are stored, without those that are over and not yet swept.
    async fn count_shard(&self, shard: u8) -> Result<u64, StoreError> {
        let due = self.few_due(shard).await?;
        let over = self.count_over(None, &due.ids).await?;
        Ok(due.stored.saturating_sub(over))
    }

    async fn count_of_login(&self, login_id: &LoginId) -> Result<u64, StoreError> {
        let due = self.few_due(login_id.shard()).await?;
        let stored = self.index_size(login_id).await?;
        let own = self.members_among(login_id, due.ids).await?;
        let over = self.count_over(Some(login_id), &own).await?;
        Ok(stored.saturating_sub(over))
    }

    /// What may be over in a shard; if that is very much, it ends first.
    async fn few_due(&self, shard: u8) -> Result<Due, StoreError> {
        loop {
            let due = self.due(shard, COUNTED).await?;
            if due.ids.len() < COUNTED {
                return Ok(due);
            }
            self.end_expired(due.slot, None, &due.ids).await?;
        }
    }

    async fn count_over(
        &self,
        login_id: Option<&LoginId>,
        ids: &[SessionId],
    ) -> Result<u64, StoreError> {
        let seen = self.look_up_all(login_id, ids).await?;
        Ok(seen.iter().filter(|seen| seen.is_none()).count() as u64)
    }

    /// Those of the sessions that the index of a login tells of.
    async fn members_among(
        &self,
        login_id: &LoginId,
        mut ids: Vec<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        if ids.is_empty() {
            return Ok(ids);
        }
        let mut read = redis::cmd("ZMSCORE");
        read.arg(self.client.keys.login(login_id));
        for id in &ids {
            read.arg(id.as_bytes());
        }
        let scores = self.client.command(slot_of_login(login_id), &read).await?;
        let mut scores = Reply::new(scores)?;
        let mut is_member = Vec::with_capacity(ids.len());
        while !scores.is_empty() {
            is_member.push(!scores.is_nil()?);
        }
        let mut is_member = is_member.into_iter();
        ids.retain(|_id| is_member.next().unwrap_or_default());
        Ok(ids)
    }
}
