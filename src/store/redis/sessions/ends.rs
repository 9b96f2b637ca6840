//! Endings of one session that somebody asks for.

use super::super::call::call;
use super::super::connections::Effect;
use super::super::keys::slot_of;
use super::super::record::SESSION;
use super::Sessions;
use super::answers::{live, refusal};
use super::changes::WriteTarget;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::record::SessionRecord;
use crate::model::request::Target;
use crate::model::session::{EndReason, Ended};
use crate::model::token::CredentialHash;
use crate::rules::change::Changed;
use crate::rules::end::closed;
use crate::rules::refusal::Refusal;
use crate::store::OpError;
use crate::store::node::recovery::RecoveryEntry;

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

impl Sessions {
    pub(super) async fn end(
        &self,
        target: &Target,
        reason: EndReason,
        hash: Option<CredentialHash>,
    ) -> Result<Changed, OpError> {
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
        let (now, mut record) = self.client.call(slot_of(session_id), &end).await??;
        let by = target.access.service_id.clone();
        self.remember_ends(&[session_id], &Ended::by_service(reason, now, by));
        self.activity.buffer.overlay(&mut record);
        Ok(Changed {
            session: closed(record.session),
            inserted: false,
        })
    }

    /// Endings that are acknowledged must not be taken back, whether this node ever hears of them or not.
    pub(super) fn remember_ends(&self, ids: &[SessionId], ended: &Ended) {
        for session_id in ids {
            self.log
                .keep(RecoveryEntry::Ended(*session_id, ended.clone()));
        }
    }
}
