//! A new token in the place of another, in one script.

use std::time::Duration;

use super::super::activity::Noted;
use super::super::call::call;
use super::super::connections::Effect;
use super::super::keys::slot_of;
use super::super::record::SESSION;
use super::Sessions;
use super::answers::{live, tombstone};
use super::changes::scope;
use crate::model::Timestamp;
use crate::model::id::ServiceId;
use crate::model::record::SessionRecord;
use crate::model::session::{EndReason, Ended, Session, Tombstone};
use crate::model::token::CredentialHash;
use crate::rules::refusal::Refusal;
use crate::rules::rotate::{Rotated, TokenRotation};
use crate::store::OpError;
use crate::store::node::recovery::RecoveryEntry;

call! {
    struct Rotate<'a>: "rotate.lua", "", [SHARD, SESSION, SWAP_TOKEN] {
        session: Noted,
        scope: Option<String>,
        by: &'a ServiceId,
        presented: CredentialHash,
        hash: CredentialHash,
        sealed: &'a [u8],
        grace: Duration,
    }
    // The same successor for the same token is the same rotation.
    SESSION, replicated: true, effect: Effect::Repeatable;
    (self, reply) -> RotationAnswer {
        "done" => RotationAnswer::Done(live(self.session.id, reply)?),
        "before" => RotationAnswer::Before(live(self.session.id, reply)?),
        "reused" => RotationAnswer::Reused(live(self.session.id, reply)?),
        "ended" => RotationAnswer::Ended(tombstone(self.session.id, reply)?),
        "unknown" => RotationAnswer::Unknown,
    }
}

/// What a rotation came to, with the session at that moment.
enum RotationAnswer {
    Done((Timestamp, SessionRecord)),
    Before((Timestamp, SessionRecord)),
    Reused((Timestamp, SessionRecord)),
    Ended(Box<Tombstone>),
    Unknown,
}

impl Sessions {
    pub(super) async fn rotate(&self, asked: TokenRotation) -> Result<Rotated, OpError> {
        let session_id = asked.session_id;
        let rotate = Rotate {
            session: self.activity.noted_of(session_id),
            scope: scope(&asked.access.scope),
            by: &asked.access.service_id,
            presented: asked.presented,
            hash: asked.successor.hash,
            sealed: &asked.successor.sealed.0,
            grace: asked.grace,
        };
        match self.client.call(slot_of(session_id), &rotate).await? {
            RotationAnswer::Done((now, record)) => {
                if let Some(last) = &record.rotation {
                    self.log.keep(RecoveryEntry::Rotated(asked, last.at));
                }
                Ok(Rotated::Now(self.used_and_shown(record, now)))
            }
            RotationAnswer::Before((now, record)) => {
                let last = record.rotation.as_ref();
                let sealed = last.map(|last| last.sealed.clone());
                let sealed = sealed.ok_or(Refusal::TokenUnknown)?;
                Ok(Rotated::Before(self.used_and_shown(record, now), sealed))
            }
            RotationAnswer::Reused((now, record)) => {
                let by = asked.access.service_id;
                let ended = Ended::by_service(EndReason::TokenReuse, now, by);
                self.remember_ends(&[session_id], &ended);
                let tombstone = record.end(ended);
                Err(Refusal::SessionEnded(Box::new(tombstone)).into())
            }
            RotationAnswer::Ended(tombstone) => Err(Refusal::SessionEnded(tombstone).into()),
            RotationAnswer::Unknown => Err(Refusal::TokenUnknown.into()),
        }
    }

    fn used_and_shown(&self, mut record: SessionRecord, now: Timestamp) -> Box<Session> {
        self.activity.buffer.overlay(&mut record);
        Box::new(self.shown(record, now))
    }
}
