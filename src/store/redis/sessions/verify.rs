//! Reads of one session, by id or by token: one plain read, judged here. Where the clock is not known well enough, a
//! script judges.

use std::sync::Arc;

use deadpool_redis::redis;

use super::super::activity::Noted;
use super::super::call::call;
use super::super::keys::slot_of;
use super::super::link::Effect;
use super::super::record::{self, SESSION, Stored};
use super::super::reply::fields;
use super::Sessions;
use super::answers::{live, tombstone};
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::session::Life;
use crate::model::session::{Ended, Session, Tombstone};
use crate::model::session_token::TokenStatus;
use crate::model::token::{CredentialHash, PresentedToken};
use crate::store::node::clock::ServerClock;
use crate::store::{Lookup, StoreError, Touch, Verified};

/// A live session with every use of it counted, and when it was so.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) record: SessionRecord,
    /// When the record expires as it is stored.
    stored_until: Timestamp,
    pub(super) now: Timestamp,
}

call! {
    struct LoadOrExpire: "load_or_expire.lua", "allow-oom", [SHARD, SESSION] {
        session: Noted,
        hash: Option<CredentialHash>,
        touches: bool,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> Result<(Timestamp, SessionRecord), Option<Box<Tombstone>>> {
        "done" => Ok(live(self.session.id, reply)?),
        "ended" => Err(Some(tombstone(self.session.id, reply)?)),
        "unknown" => Err(None),
    }
}

impl Sessions {
    pub(super) fn shown(&self, record: SessionRecord, now: Timestamp) -> Session {
        record.shown(now, self.settings.idle_after)
    }

    fn seen(&self, record: SessionRecord, now: Timestamp) -> Seen {
        let stored_until = record.session.expires_at;
        let mut record = record;
        self.activity.buffer.overlay(&mut record);
        Seen {
            record,
            stored_until,
            now,
        }
    }

    fn verified(&self, seen: Seen) -> Verified {
        let life = seen.record.life();
        self.verified_in(Arc::new(seen.record), life, seen.stored_until, seen.now)
    }

    fn verified_in(
        &self,
        record: Arc<SessionRecord>,
        life: Life,
        stored_until: Timestamp,
        now: Timestamp,
    ) -> Verified {
        Verified {
            state: record.shown_state(life, now, self.settings.idle_after),
            record,
            life,
            stored_until,
        }
    }

    pub(super) async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        Ok(match self.look_up(session_id).await? {
            Lookup::Live(seen) if scope.covers(&seen.record.session.service_id) => {
                Lookup::Live(Box::new(self.shown(seen.record, seen.now)))
            }
            Lookup::Ended(tombstone) if scope.covers(&tombstone.service_id) => {
                Lookup::Ended(tombstone)
            }
            Lookup::Live(_) | Lookup::Ended(_) | Lookup::Unknown => Lookup::Unknown,
        })
    }

    pub(super) async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        let Some(session_id) = self.session_of(token).await? else {
            return Ok(Lookup::Unknown);
        };
        match self.look_up(session_id).await? {
            Lookup::Live(seen) if seen.record.token.hash == token.hash => match touch {
                Touch::No => Ok(Lookup::Live(Box::new(self.verified(*seen)))),
                Touch::Yes => self.touched(*seen).await,
            },
            Lookup::Live(seen)
                if seen.record.token_status(&token.hash, seen.now) != TokenStatus::Never =>
            {
                self.judged(session_id, token.hash, touch).await
            }
            Lookup::Ended(tombstone) => {
                let now = self.client.clock(slot_of(session_id)).now;
                let good = tombstone.token_status(&token.hash, now).is_good();
                Ok(good
                    .then_some(tombstone)
                    .map_or(Lookup::Unknown, Lookup::Ended))
            }
            Lookup::Live(_) | Lookup::Unknown => Ok(Lookup::Unknown),
        }
    }

    pub(super) fn find_again(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        let clock = self.client.clock(slot_of(found.record.session.session_id));
        let now = clock.now;
        let lives = |life: Life| now < life.expires_at && !clock.is_near(life.expires_at);
        let (life, stored_until) = self.activity.buffer.again(found, touch, now, lives)?;
        Some(self.verified_in(Arc::clone(&found.record), life, stored_until, now))
    }

    async fn touched(&self, seen: Seen) -> Result<Lookup<Verified>, StoreError> {
        let Seen {
            record,
            stored_until,
            now,
        } = seen;
        let counted = self
            .activity
            .buffer
            .count(&record, record.life(), stored_until, now);
        if let Some(life) = counted {
            let found = self.verified_in(Arc::new(record), life, stored_until, now);
            return Ok(Lookup::Live(Box::new(found)));
        }
        let SessionRecord { session, token, .. } = record;
        self.judged(session.session_id, token.hash, Touch::Yes)
            .await
    }

    /// Lets a script judge whether a token is good.
    async fn judged(
        &self,
        session_id: SessionId,
        hash: CredentialHash,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        Ok(
            match self.load_or_expire(session_id, Some(hash), touch).await? {
                Lookup::Live(seen) => Lookup::Live(Box::new(self.verified(*seen))),
                Lookup::Ended(tombstone) => Lookup::Ended(tombstone),
                Lookup::Unknown => Lookup::Unknown,
            },
        )
    }

    /// A session as it is now, in one round trip.
    pub(super) async fn look_up(&self, session_id: SessionId) -> Result<Lookup<Seen>, StoreError> {
        let slot = slot_of(session_id);
        let mut read = redis::cmd("HGETALL");
        read.arg(self.client.keys.record(session_id));
        let stored = match self.client.command(slot, &read).await {
            // A key of another type.
            Err(StoreError::Corrupt { .. }) => record::foreign(session_id),
            read => {
                let known = self.client.formats.known(SESSION, fields(read?)?)?;
                record::decode(session_id, known)
            }
        };
        match self.judge(stored, self.client.clock(slot)) {
            Some(answer) => Ok(answer),
            None => self.load_or_expire(session_id, None, Touch::No).await,
        }
    }

    /// Whether a session lives; `None` if the clock is not known well enough to tell.
    fn judge(&self, stored: Stored, clock: ServerClock) -> Option<Lookup<Seen>> {
        let now = clock.now;
        let near = |moment| clock.is_near(moment);
        match stored {
            Stored::Nothing => Some(Lookup::Unknown),
            Stored::Ended(_, until) if near(until) => None,
            Stored::Ended(tombstone, until) => Some(told(tombstone, until, now)),
            Stored::Live(record) => {
                let seen = self.seen(*record, now);
                let expires_at = seen.record.session.expires_at;
                let until = expires_at.plus(self.settings.tombstone_retention);
                if near(expires_at) || near(until) {
                    return None;
                }
                Some(match seen.record.expired(now) {
                    None => Lookup::Live(Box::new(seen)),
                    Some((reason, at)) => told(
                        Box::new(seen.record.end(Ended::by_age(reason, at))),
                        until,
                        now,
                    ),
                })
            }
        }
    }

    /// Lets a script judge a session by the server's own clock. With a hash, only if that is of a good token of it.
    pub(super) async fn load_or_expire(
        &self,
        session_id: SessionId,
        hash: Option<CredentialHash>,
        touch: Touch,
    ) -> Result<Lookup<Seen>, StoreError> {
        let load = LoadOrExpire {
            session: self.activity.noted_of(session_id),
            hash,
            touches: touch == Touch::Yes,
        };
        Ok(match self.client.call(slot_of(session_id), &load).await? {
            Ok((now, record)) => Lookup::Live(Box::new(self.seen(record, now))),
            Err(Some(tombstone)) => Lookup::Ended(tombstone),
            Err(None) => Lookup::Unknown,
        })
    }
}

/// What is told of a tombstone: nothing any more when its time is over.
fn told<T>(tombstone: Box<Tombstone>, until: Timestamp, now: Timestamp) -> Lookup<T> {
    if now < until {
        Lookup::Ended(tombstone)
    } else {
        Lookup::Unknown
    }
}
