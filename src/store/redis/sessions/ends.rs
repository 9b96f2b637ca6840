//! Endings that somebody asks for: of one session, of all of a login.

use super::super::args::Args;
use super::super::keys::{login_key, slot_of, slot_of_login};
use super::super::link::Effect;
use super::super::record::SESSION;
use super::super::reply::Reply;
use super::super::scripts;
use super::Sessions;
use super::changes::{refused, scope};
use super::verify::live;
use crate::model::Timestamp;
use crate::model::id::{LoginId, SessionId};
use crate::model::session::{EndDetail, EndReason, Ended, Session, SessionState};
use crate::model::token::CredentialHash;
use crate::store::node::recovery::Deed;
use crate::store::{Access, EndAll, EndOutcome, OpError, Refusal, StoreError, Target};

/// Sessions that one step looks at.
const STEP: usize = 200;

impl Sessions {
    pub(super) async fn end(
        &self,
        target: &Target,
        reason: EndReason,
        token: Option<&CredentialHash>,
    ) -> Result<EndOutcome, OpError> {
        // An end takes no mark: ending again is no harm.
        let target = Target {
            mark: None,
            ..target.clone()
        };
        let token = token.map_or(&[][..], |hash| hash.as_bytes());
        let args = self.target_args(&target).text(reason.as_str()).bytes(token);
        let slot = slot_of(target.session_id);
        let mut reply = self
            .client
            .run_replicated(slot, &scripts::END, args, Effect::Once)
            .await?;
        match reply.text()?.as_str() {
            "done" => {
                let (now, session) = self.closed(target.session_id, &mut reply)?;
                let by = target.access.service_id.clone();
                let ended = Ended::by_service(reason, now, by);
                self.remember_ends(&[target.session_id], &ended);
                Ok(EndOutcome::Now(session))
            }
            word => {
                let error = refused(&target, word, reply);
                if let OpError::Refused(Refusal::SessionEnded(tombstone)) = error {
                    Ok(EndOutcome::Before(tombstone))
                } else {
                    Err(error)
                }
            }
        }
    }

    fn closed(
        &self,
        session_id: SessionId,
        reply: &mut Reply,
    ) -> Result<(Timestamp, Box<Session>), StoreError> {
        let (now, mut record) = live(session_id, reply)?;
        self.activity.touches.overlay(&mut record);
        let session = Session {
            state: SessionState::Closed,
            version: record.session.version + 1,
            ..record.session
        };
        Ok((now, Box::new(session)))
    }

    /// Endings that are acknowledged must not be taken back, whether this node ever hears of them or not.
    pub(super) fn remember_ends(&self, ids: &[SessionId], ended: &Ended) {
        for session_id in ids {
            self.log.keep(Deed::Ended(*session_id, ended.clone()));
        }
    }

    pub(super) async fn end_all(
        &self,
        which: &EndAll,
        access: &Access,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ended = Vec::new();
        let mut after = None;
        let mut moment = None;
        loop {
            let (now, ids) = self.members(&which.login_id, after, STEP).await?;
            let moment = *moment.get_or_insert(now);
            ended.extend(self.end_some(which, access, moment, &ids).await?);
            after = ids.last().copied();
            // Whatever follows now was created after that moment.
            if ids.len() < STEP {
                return Ok(ended);
            }
        }
    }

    /// The next sessions of a login in the order of their ids, and the moment at which they were all there.
    async fn members(
        &self,
        login_id: &LoginId,
        after: Option<SessionId>,
        most: usize,
    ) -> Result<(Timestamp, Vec<SessionId>), StoreError> {
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let args = Args::new()
            .bytes(&login_key(login_id))
            .bytes(after)
            .show(most);
        let slot = slot_of_login(login_id);
        let effect = Effect::Repeatable;
        let mut reply = self
            .client
            .run(slot, &scripts::MEMBERS, args, effect)
            .await?;
        reply.text()?;
        Ok((reply.moment()?, reply.ids()?))
    }

    async fn end_some(
        &self,
        which: &EndAll,
        access: &Access,
        moment: Timestamp,
        ids: &[SessionId],
    ) -> Result<Vec<SessionId>, StoreError> {
        let except = which.except.as_ref().map_or(&[][..], |id| id.as_bytes());
        let args = Args::new()
            .bytes(&login_key(&which.login_id))
            .show(&which.login_id)
            .maybe(scope(&access.scope))
            .show(&access.service_id)
            .text(which.reason.as_str())
            .maybe(which.detail.as_ref())
            .bytes(except)
            .maybe(which.device.as_ref())
            .show(moment.millis());
        let args = self.activity.sessions(args, ids);
        let slot = slot_of_login(&which.login_id);
        let reply = self
            .client
            .run_replicated(slot, &scripts::END_MANY, args, Effect::Repeatable)
            .await?;
        self.ended_by(access, which.reason, which.detail.clone(), reply)
    }

    /// Reads which sessions a script ended for a service, and remembers them.
    pub(super) fn ended_by(
        &self,
        access: &Access,
        reason: EndReason,
        detail: Option<EndDetail>,
        mut reply: Reply,
    ) -> Result<Vec<SessionId>, StoreError> {
        match reply.text()?.as_str() {
            "done" => {
                let now = reply.moment()?;
                let ended = reply.packed_ids()?;
                let how = Ended {
                    detail,
                    ..Ended::by_service(reason, now, access.service_id.clone())
                };
                self.remember_ends(&ended, &how);
                Ok(ended)
            }
            word => Err(reply.unexpected(SESSION, word)),
        }
    }
}
