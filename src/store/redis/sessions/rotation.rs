//! A new token in the place of another, in one script.

use super::super::args::Args;
use super::super::keys::slot_of;
use super::super::link::Effect;
use super::super::record::SESSION;
use super::super::reply::Reply;
use super::super::scripts;
use super::Sessions;
use super::changes::scope;
use super::verify::{live, tombstone};
use crate::model::record::SessionRecord;
use crate::model::session::{EndReason, Ended, Session};
use crate::store::node::recovery::Deed;
use crate::store::{OpError, Refusal, Rotated, StoreError, TokenRotation};

impl Sessions {
    pub(super) async fn rotate(&self, asked: TokenRotation) -> Result<Rotated, OpError> {
        let session_id = asked.session_id;
        let slot = slot_of(session_id);
        let args = self.rotate_args(&asked);
        // The same successor for the same token is the same rotation.
        let mut reply = self
            .client
            .run_replicated(slot, &scripts::ROTATE, args, Effect::Repeatable)
            .await?;
        match reply.text()?.as_str() {
            "done" => {
                let (record, session) = self.rotated(&asked, &mut reply)?;
                if let Some(last) = record.rotation {
                    self.log.keep(Deed::Rotated(asked, last.at));
                }
                Ok(Rotated::Now(session))
            }
            "before" => {
                let (record, session) = self.rotated(&asked, &mut reply)?;
                let sealed = record.rotation.map(|last| last.sealed);
                let sealed = sealed.ok_or(Refusal::TokenUnknown)?;
                Ok(Rotated::Before(session, sealed))
            }
            "reused" => {
                let (now, record) = live(session_id, &mut reply)?;
                let by = asked.access.service_id;
                let ended = Ended::by_service(EndReason::TokenReuse, now, by);
                self.remember_ends(&[session_id], &ended);
                let tombstone = record.end(ended);
                Err(Refusal::SessionEnded(Box::new(tombstone)).into())
            }
            "ended" => Err(Refusal::SessionEnded(tombstone(session_id, &mut reply)?).into()),
            "unknown" => Err(Refusal::TokenUnknown.into()),
            word => Err(reply.unexpected(SESSION, word).into()),
        }
    }

    fn rotate_args(&self, asked: &TokenRotation) -> Args {
        Args::new()
            .bytes(asked.session_id.as_bytes())
            .maybe(self.activity.used(asked.session_id))
            .maybe(scope(&asked.access.scope))
            .show(&asked.access.service_id)
            .bytes(asked.presented.as_bytes())
            .bytes(asked.successor.hash.as_bytes())
            .bytes(&asked.successor.sealed.0)
            .millis(asked.grace)
    }

    fn rotated(
        &self,
        asked: &TokenRotation,
        reply: &mut Reply,
    ) -> Result<(SessionRecord, Box<Session>), StoreError> {
        let (now, mut record) = live(asked.session_id, reply)?;
        self.activity.touches.overlay(&mut record);
        let session = self.shown(record.clone(), now);
        Ok((record, Box::new(session)))
    }
}
