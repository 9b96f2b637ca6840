//! Endings that somebody asks for: of one session, of all of a login.

use super::super::activity::Noted;
use super::super::call::{List, call};
use super::super::keys::{login_key, slot_of, slot_of_login};
use super::super::link::Effect;
use super::super::record::SESSION;
use super::Sessions;
use super::answers::{live, refusal};
use super::changes::{WriteTarget, scope};
use crate::model::Timestamp;
use crate::model::id::{LoginId, ServiceId, SessionId};
use crate::model::record::SessionRecord;
use crate::model::session::{Device, EndDetail, EndReason, Ended, Session, SessionState};
use crate::model::token::CredentialHash;
use crate::store::node::recovery::RecoveryEntry;
use crate::store::{Access, EndAll, EndOutcome, OpError, Refusal, StoreError, Target};

/// Sessions that one step looks at.
const STEP: usize = 200;

call! {
    struct End<'a>: "end.lua", "allow-oom", [SHARD, SESSION, TARGET] {
        target: WriteTarget<'a>,
        reason: EndReason,
        hash: Option<CredentialHash>,
    }
    SESSION, replicated: true, effect: Effect::Once;
    (self, reply) -> Result<(Timestamp, SessionRecord), Refusal> {
        "done" => Ok(live(self.target.id, reply)?),
        word @ ("unknown" | "version" | "ended") => Err(refusal(self.target.id, word, reply)?),
    }
}

call! {
    struct FindMembers: "members.lua", "no-writes", [SHARD] {
        login_key: Vec<u8>,
        after: Option<SessionId>,
        most: usize,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> (Timestamp, Vec<SessionId>) {
        "done" => (reply.moment()?, reply.ids()?),
    }
}

call! {
    struct EndMany<'a>: "end_many.lua", "allow-oom", [SHARD, SESSION] {
        login_key: Vec<u8>,
        login: &'a LoginId,
        scope: Option<&'a ServiceId>,
        by: &'a ServiceId,
        reason: EndReason,
        detail: Option<&'a EndDetail>,
        except: Option<SessionId>,
        device: Option<&'a Device>,
        moment: Timestamp,
        sessions: List<Noted>,
    }
    SESSION, replicated: true, effect: Effect::Repeatable;
    (self, reply) -> (Timestamp, Vec<SessionId>) {
        "done" => (reply.moment()?, reply.packed_ids()?),
    }
}

impl Sessions {
    pub(super) async fn end(
        &self,
        target: &Target,
        reason: EndReason,
        hash: Option<CredentialHash>,
    ) -> Result<EndOutcome, OpError> {
        let session_id = target.session_id;
        let end = End {
            // An end takes no operation id: ending again is no harm.
            target: WriteTarget {
                operation_id: None,
                ..self.target(target)
            },
            reason,
            hash,
        };
        match self.client.call(slot_of(session_id), &end).await? {
            Ok((now, record)) => {
                let by = target.access.service_id.clone();
                self.remember_ends(&[session_id], &Ended::by_service(reason, now, by));
                Ok(EndOutcome::Now(self.closed(record)))
            }
            Err(Refusal::SessionEnded(tombstone)) => Ok(EndOutcome::Before(tombstone)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn closed(&self, mut record: SessionRecord) -> Box<Session> {
        self.activity.buffer.overlay(&mut record);
        Box::new(Session {
            state: SessionState::Closed,
            version: record.session.version + 1,
            ..record.session
        })
    }

    /// Endings that are acknowledged must not be taken back, whether this node ever hears of them or not.
    pub(super) fn remember_ends(&self, ids: &[SessionId], ended: &Ended) {
        for session_id in ids {
            self.log
                .keep(RecoveryEntry::Ended(*session_id, ended.clone()));
        }
    }

    pub(super) async fn end_all(
        &self,
        which: &EndAll,
        access: &Access,
    ) -> Result<Vec<SessionId>, StoreError> {
        let slot = slot_of_login(&which.login_id);
        let mut ended = Vec::new();
        let mut next = FindMembers {
            login_key: login_key(&which.login_id),
            after: None,
            most: STEP,
        };
        let mut moment = None;
        loop {
            let (now, ids) = self.client.call(slot, &next).await?;
            let moment = *moment.get_or_insert(now);
            ended.extend(self.end_some(which, access, moment, &ids).await?);
            next.after = ids.last().copied();
            // Whatever follows now was created after that moment.
            if ids.len() < STEP {
                return Ok(ended);
            }
        }
    }

    async fn end_some(
        &self,
        which: &EndAll,
        access: &Access,
        moment: Timestamp,
        ids: &[SessionId],
    ) -> Result<Vec<SessionId>, StoreError> {
        let end = EndMany {
            login_key: login_key(&which.login_id),
            login: &which.login_id,
            scope: scope(&access.scope),
            by: &access.service_id,
            reason: which.reason,
            detail: which.detail.as_ref(),
            except: which.except,
            device: which.device.as_ref(),
            moment,
            sessions: self.activity.noted(ids),
        };
        let (now, ended) = self
            .client
            .call(slot_of_login(&which.login_id), &end)
            .await?;
        let how = Ended {
            detail: which.detail.clone(),
            ..Ended::by_service(which.reason, now, access.service_id.clone())
        };
        self.remember_ends(&ended, &how);
        Ok(ended)
    }
}
