//! Opening a session: its token, the limit of its login, and one script that does it.

use deadpool_redis::redis;

use super::super::args::Args;
use super::super::fields::more_fields;
use super::super::keys::{login_key, slot_of, slot_of_login};
use super::super::link::Effect;
use super::super::record::SESSION;
use super::super::reply::{Reply, ids};
use super::super::scripts;
use super::Sessions;
use super::verify::{live, tombstone};
use crate::model::id::SessionId;
use crate::model::limit::{LimitPer, Overflow, SessionLimit};
use crate::model::session::{EndReason, Ended};
use crate::model::session_token::TokenOrigin;
use crate::store::{Created, NewSession, OpError, Refusal, StoreError};

impl Sessions {
    pub(super) async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        // An id of another login's shard is not the caller's to use.
        if slot_of(new.session_id) != slot_of_login(&new.login_id) {
            return Err(Refusal::TokenInUse.into());
        }
        self.reserve(&new).await?;
        let created = self.insert(&new).await;
        match &created {
            Ok(_) => self.settle(&new).await?,
            Err(OpError::Refused(_)) => self.give_back(&new).await,
            // The session may be there or not; the reservation runs out by itself.
            Err(OpError::Store(_)) => {}
        }
        created
    }

    async fn insert(&self, new: &NewSession) -> Result<Created, OpError> {
        let used = self.counted_sessions(new).await?;
        let args = self.create_args(new, &used);
        let slot = slot_of(new.session_id);
        // Without a mark a repetition could not tell who had to make room.
        let effect = match new.mark {
            Some(_) => Effect::Repeatable,
            None => Effect::Once,
        };
        let mut reply = self
            .client
            .run_replicated(slot, &scripts::CREATE, args, effect)
            .await?;
        match reply.text()?.as_str() {
            "done" => {
                let now = reply.moment()?;
                let evicted = reply.packed_ids()?;
                let by = new.service_id.clone();
                let ended = Ended::by_service(EndReason::Replaced, now, by);
                self.remember_ends(&evicted, &ended);
                let record = new.clone().open(now);
                let session = self.shown(record, now);
                Ok(Created { session, evicted })
            }
            "again" => Ok(self.created_before(new.session_id, &mut reply)?),
            "in_use" => Err(Refusal::TokenInUse.into()),
            "banned" => Err(Refusal::LoginBanned.into()),
            "full" => Err(Refusal::LimitReached.into()),
            "unknown" => Err(Refusal::SessionUnknown.into()),
            "ended" => {
                let tombstone = tombstone(new.session_id, &mut reply)?;
                Err(Refusal::SessionEnded(tombstone).into())
            }
            word => Err(reply.unexpected(SESSION, word).into()),
        }
    }

    fn created_before(
        &self,
        session_id: SessionId,
        reply: &mut Reply,
    ) -> Result<Created, StoreError> {
        let (now, mut record) = live(session_id, reply)?;
        self.activity.touches.overlay(&mut record);
        for _unused in ["inserted", "name", "value"] {
            reply.bytes()?;
        }
        Ok(Created {
            session: self.shown(record, now),
            evicted: reply.packed_ids()?,
        })
    }

    /// The sessions whose uses matter to a limit.
    async fn counted_sessions(&self, new: &NewSession) -> Result<Vec<SessionId>, StoreError> {
        let mut found = vec![new.session_id];
        if new.limit.is_some() {
            let mut read = redis::cmd("ZRANGE");
            read.arg(self.client.keys.login(&new.login_id))
                .arg(0)
                .arg(-1);
            found.extend(ids(self
                .client
                .command(slot_of(new.session_id), &read)
                .await?)?);
        }
        found.retain(|id| self.activity.used(*id).is_some());
        Ok(found)
    }

    fn create_args(&self, new: &NewSession, used: &[SessionId]) -> Args {
        let session = new
            .clone()
            .open(crate::model::Timestamp::from_millis(0))
            .session;
        let fields = more_fields(&session, &new.token);
        let origin = match new.token.origin {
            TokenOrigin::Gateway => "",
            TokenOrigin::Caller => "1",
        };
        let args = Args::new()
            .bytes(new.session_id.as_bytes())
            .bytes(new.token.hash.as_bytes())
            .text(origin)
            .show(&new.login_id)
            .bytes(&login_key(&new.login_id))
            .show(&new.service_id)
            .bytes(new.mark.as_ref().map_or(&[][..], |mark| &mark.0))
            .millis(self.settings.sweep_grace)
            .millis(new.idle_timeout)
            .millis(new.max_age)
            .maybe(new.device.as_ref())
            .all(limit_args(new.limit))
            .show(fields.len() * 2)
            .all(fields.into_iter().flat_map(|(name, value)| [name, value]));
        self.activity.sessions(args, used)
    }
}

fn limit_args(limit: Option<SessionLimit>) -> [Vec<u8>; 3] {
    let Some(limit) = limit else {
        return Default::default();
    };
    let per_device = match limit.per {
        LimitPer::Login => "0",
        LimitPer::Device => "1",
    };
    let overflow = match limit.overflow {
        Overflow::EvictOldest => "oldest",
        Overflow::EvictLeastActive => "least_active",
        Overflow::Refuse => "refuse",
    };
    [
        limit.max.to_string(),
        per_device.to_owned(),
        overflow.to_owned(),
    ]
    .map(String::into_bytes)
}
