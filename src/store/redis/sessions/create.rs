//! Opening a session: its token, the limit of its login, and one script that does it.

use std::time::Duration;

use deadpool_redis::redis;

use super::super::activity::Noted;
use super::super::call::{List, call, table};
use super::super::connections::Effect;
use super::super::fields::more_fields;
use super::super::keys::{login_key, slot_of, slot_of_login};
use super::super::record::SESSION;
use super::super::reply::{Reply, ids};
use super::Sessions;
use super::answers::{live, refusal};
use super::changes::scope;
use super::tokens::Taken;
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::limit::{LimitPer, Overflow};
use crate::model::record::SessionRecord;
use crate::model::request::OperationId;
use crate::model::session::{Device, EndReason, Ended};
use crate::model::session_token::TokenOrigin;
use crate::model::token::CredentialHash;
use crate::rules::create::{Created, LoginSessions, NewSession};
use crate::rules::refusal::Refusal;
use crate::store::{OpError, StoreError};

table! {
    /// The fields of a record that the script itself looks at, by their letters.
    struct NewRecord<'a> {
        id: SessionId,
        t: CredentialHash,
        c: Option<&'static str>,
        l: &'a LoginId,
        k: Vec<u8>,
        o: &'a ServiceId,
    }
}

call! {
    struct Create<'a>: "create.lua", "", [SHARD, SESSION, BANS] {
        session: NewRecord<'a>,
        registration: Option<String>,
        operation_id: Option<OperationId>,
        grace: Duration,
        idle_timeout: Duration,
        max_age: Duration,
        device: Option<&'a Device>,
        max: Option<usize>,
        judged: usize,
        scope: Option<String>,
        per_device: bool,
        overflow: Option<&'static str>,
        fields: List<Vec<u8>>,
        uses: List<Noted>,
    }
    SESSION, replicated: true, effect: match self.operation_id {
        Some(_) => Effect::Repeatable,
        // Without an operation id a repetition could not tell who had to make room.
        None => Effect::Once,
    };
    (self, reply) -> Result<Opened, Refusal> {
        "done" => Ok(Opened {
            now: reply.moment()?,
            there: None,
            evicted: reply.packed_ids()?,
        }),
        "again" => Ok(opened_before(self.session.id, reply)?),
        "in_use" => Err(Refusal::TokenInUse),
        "banned" => Err(Refusal::LoginBanned),
        "full" => Err(Refusal::LimitReached),
        "too_large" => Err(Refusal::LoginTooLarge),
        word @ ("unknown" | "ended") => Err(refusal(self.session.id, word, reply)?),
    }
}

struct Opened {
    now: Timestamp,
    /// Its record, if it was opened before.
    there: Option<SessionRecord>,
    evicted: Vec<SessionId>,
}

fn opened_before(session_id: SessionId, reply: &mut Reply) -> Result<Opened, StoreError> {
    let (now, record) = live(session_id, reply)?;
    for _unused in ["inserted", "name", "value"] {
        reply.bytes()?;
    }
    Ok(Opened {
        now,
        there: Some(record),
        evicted: reply.packed_ids()?,
    })
}

impl Sessions {
    pub(super) async fn create(&self, new: NewSession) -> Result<Created, OpError> {
        // An id of another login's shard is not the caller's to use.
        if slot_of(new.session_id) != slot_of_login(&new.login_id) {
            return Err(Refusal::TokenInUse.into());
        }
        let taken = self.take_token(&new).await?;
        let created = self.insert(&new).await;
        if let (Taken::Now, Err(OpError::Refused(_))) = (taken, &created) {
            self.give_back(&new).await;
        }
        created
    }

    pub(super) async fn insert(&self, new: &NewSession) -> Result<Created, OpError> {
        let used = self.counted_sessions(new).await?;
        let create = self.create_of(new, &used);
        let opened = self.client.call(slot_of(new.session_id), &create).await??;
        let Opened {
            now,
            there,
            evicted,
        } = opened;
        let record = if let Some(mut record) = there {
            self.activity.buffer.overlay(&mut record);
            record
        } else {
            let by = new.service_id.clone();
            let ended = Ended::by_service(EndReason::Replaced, now, by);
            self.remember_ends(&evicted, &ended);
            new.clone().open(now)
        };
        let session = self.shown(record, now);
        Ok(Created { session, evicted })
    }

    /// The sessions that a limit looks at, with uses that are still to be written.
    async fn counted_sessions(&self, new: &NewSession) -> Result<Vec<SessionId>, StoreError> {
        let mut found = vec![new.session_id];
        if new.limit.is_some() {
            let mut read = redis::cmd("ZRANGE");
            read.arg(self.client.keys.login(&new.login_id))
                .arg(0)
                .arg(LoginSessions::JUDGED - 1);
            found.extend(ids(self
                .client
                .command(slot_of(new.session_id), &read)
                .await?)?);
        }
        found.retain(|id| self.activity.used(*id).is_some());
        Ok(found)
    }

    fn create_of<'a>(&self, new: &'a NewSession, used: &[SessionId]) -> Create<'a> {
        let session = new.clone().open(Timestamp::from_millis(0)).session;
        let fields = more_fields(&session, &new.token)
            .into_iter()
            .flat_map(|(name, value)| [name, value]);
        Create {
            session: NewRecord {
                id: new.session_id,
                t: new.token.hash,
                c: (new.token.origin == TokenOrigin::Caller).then_some("1"),
                l: &new.login_id,
                k: login_key(&new.login_id),
                o: &new.service_id,
            },
            registration: new.registration.map(|at| at.millis().to_string()),
            operation_id: new.operation_id,
            grace: self.settings.sweep_grace,
            idle_timeout: new.idle_timeout,
            max_age: new.max_age,
            device: new.device.as_ref(),
            max: new.limit.map(|limit| limit.max),
            judged: LoginSessions::JUDGED,
            scope: scope(&new.limit_scope),
            per_device: new.limit.is_some_and(|limit| limit.per == LimitPer::Device),
            overflow: new.limit.map(|limit| match limit.overflow {
                Overflow::EvictOldest => "oldest",
                Overflow::EvictLeastActive => "least_active",
                Overflow::Refuse => "refuse",
            }),
            fields: List(fields.collect()),
            uses: self.activity.noted(used),
        }
    }
}
