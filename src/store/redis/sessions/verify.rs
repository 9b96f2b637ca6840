//! Reads of one session, by id or by token: one plain read, which `rules::verify` judges. Where the clock is not known
//! well enough for that, a script reads by the server's own.

use std::sync::Arc;

use deadpool_redis::redis;

use super::super::activity::Noted;
use super::super::call::call;
use super::super::connections::Effect;
use super::super::keys::slot_of;
use super::super::record::{self, SESSION};
use super::super::reply::fields;
use super::Sessions;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::permission::Scope;
use crate::model::record::SessionRecord;
use crate::model::request::Touch;
use crate::model::session::{Life, Session};
use crate::model::token::{CredentialHash, PresentedToken};
use crate::rules::entry::{Lookup, SessionEntry};
use crate::rules::terms::Terms;
use crate::rules::verify;
use crate::store::{StoreError, Verified};

/// A live session with every use of it counted, and when it was so.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) record: SessionRecord,
    pub(super) now: Timestamp,
}

/// What stands under the id of a session, with every use of it counted, and when it stood so.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) entry: SessionEntry,
    /// When a record expires as it is stored.
    stored_until: Timestamp,
    now: Timestamp,
}

call! {
    struct LoadOrExpire: "load_or_expire.lua", "allow-oom", [SHARD, SESSION] {
        session: Noted,
        hash: Option<CredentialHash>,
        shown: bool,
        touches: bool,
    }
    SESSION, replicated: false, effect: Effect::Repeatable;
    (self, reply) -> Option<(Timestamp, SessionEntry)> {
        "done" | "ended" => {
            let now = reply.moment()?;
            Some((now, record::decode(self.session.id, reply.fields()?)))
        },
        "unknown" => None,
    }
}

impl Sessions {
    pub(super) fn terms(&self, now: Timestamp) -> Terms {
        Terms {
            now,
            idle_after: self.settings.idle_after,
            tombstone_retention: self.settings.tombstone_retention,
        }
    }

    pub(super) fn shown(&self, record: SessionRecord, now: Timestamp) -> Session {
        self.terms(now).shown(record)
    }

    fn loaded(&self, mut entry: SessionEntry, now: Timestamp) -> Loaded {
        let mut stored_until = Timestamp::from_millis(0);
        if let SessionEntry::Record(record) = &mut entry {
            stored_until = record.session.expires_at;
            self.activity.buffer.overlay(record);
        }
        Loaded {
            entry,
            stored_until,
            now,
        }
    }

    fn verified(
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

    fn live(&self, record: SessionRecord, stored_until: Timestamp, now: Timestamp) -> Verified {
        let life = record.life();
        self.verified(Arc::new(record), life, stored_until, now)
    }

    pub(super) async fn find(
        &self,
        session_id: SessionId,
        scope: &Scope,
    ) -> Result<Lookup<Session>, StoreError> {
        let Loaded { entry, now, .. } = self.load(session_id, None).await?;
        Ok(verify::find(entry, scope, &self.terms(now)))
    }

    /// A session as it is now, in one round trip.
    pub(super) async fn look_up(&self, session_id: SessionId) -> Result<Lookup<Seen>, StoreError> {
        let Loaded { entry, now, .. } = self.load(session_id, None).await?;
        let found = verify::look_up(entry, &self.terms(now));
        Ok(found.map(|record| Seen { record, now }))
    }

    pub(super) async fn find_by_token(
        &self,
        token: &PresentedToken,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        let Some(session_id) = self.session_of(token).await? else {
            return Ok(Lookup::Unknown);
        };
        let loaded = self.load(session_id, Some(&token.hash)).await?;
        let (now, stored_until) = (loaded.now, loaded.stored_until);
        let found = verify::verify(loaded.entry, &token.hash, &self.terms(now));
        match (found, touch) {
            (Lookup::Live(record), _) if record.is_first_use(&token.hash, touch) => {
                self.written(session_id, token.hash, touch).await
            }
            (Lookup::Live(record), Touch::Yes) => {
                self.touched(*record, token.hash, stored_until, now).await
            }
            (Lookup::Live(_), Touch::No | Touch::Look) if stored_until <= now => {
                self.written(session_id, token.hash, touch).await
            }
            (found, Touch::Yes | Touch::No | Touch::Look) => {
                Ok(found.map(|record| self.live(record, stored_until, now)))
            }
        }
    }

    pub(super) fn revalidate(&self, found: &Verified, touch: Touch) -> Option<Verified> {
        let clock = self.client.clock(slot_of(found.record.session.session_id));
        let now = clock.now;
        let lives = |life: Life| now < life.expires_at && !clock.is_near(life.expires_at);
        let (life, stored_until) = self.activity.buffer.again(found, touch, now, lives)?;
        Some(self.verified(Arc::clone(&found.record), life, stored_until, now))
    }

    async fn touched(
        &self,
        record: SessionRecord,
        hash: CredentialHash,
        stored_until: Timestamp,
        now: Timestamp,
    ) -> Result<Lookup<Verified>, StoreError> {
        let buffer = &self.activity.buffer;
        if let Some(life) = buffer.count(&record, record.life(), stored_until, now) {
            let found = self.verified(Arc::new(record), life, stored_until, now);
            return Ok(Lookup::Live(Box::new(found)));
        }
        self.written(record.session.session_id, hash, Touch::Yes)
            .await
    }

    /// Looks again when the uses of it are written.
    async fn written(
        &self,
        session_id: SessionId,
        hash: CredentialHash,
        touch: Touch,
    ) -> Result<Lookup<Verified>, StoreError> {
        let loaded = self.load_or_expire(session_id, Some(hash), touch);
        let Loaded {
            entry,
            stored_until,
            now,
        } = loaded.await?;
        let found = verify::verify(entry, &hash, &self.terms(now));
        Ok(found.map(|record| self.live(record, stored_until, now)))
    }

    /// What stands under an id, read so that the rules can judge it, and a token if one is presented.
    async fn load(
        &self,
        session_id: SessionId,
        hash: Option<&CredentialHash>,
    ) -> Result<Loaded, StoreError> {
        let slot = slot_of(session_id);
        let mut read = redis::cmd("HGETALL");
        read.arg(self.client.keys.record(session_id));
        let entry = match self.client.command(slot, &read).await {
            // A key of another type.
            Err(StoreError::Corrupt { .. }) => record::foreign(session_id),
            read => {
                let known = self.client.formats.known(SESSION, fields(read?)?)?;
                record::decode(session_id, known)
            }
        };
        let clock = self.client.clock(slot);
        let loaded = self.loaded(entry, clock.now);
        let boundaries = verify::boundaries(&loaded.entry, hash, &self.terms(clock.now));
        if boundaries
            .into_iter()
            .flatten()
            .any(|moment| clock.is_near(moment))
        {
            return self.load_or_expire(session_id, None, Touch::Look).await;
        }
        Ok(loaded)
    }

    /// The same by the server's own clock; a session that is over by its age ends, and the use of it that waits is
    /// written. With a hash, nothing is there unless that is of a good token of it.
    pub(super) async fn load_or_expire(
        &self,
        session_id: SessionId,
        hash: Option<CredentialHash>,
        touch: Touch,
    ) -> Result<Loaded, StoreError> {
        let load = LoadOrExpire {
            session: self.activity.noted_of(session_id),
            hash,
            shown: touch != Touch::Look,
            touches: touch == Touch::Yes,
        };
        let slot = slot_of(session_id);
        let (now, entry) = match self.client.call(slot, &load).await? {
            Some(found) => found,
            None => (self.client.clock(slot).now, SessionEntry::Missing),
        };
        Ok(self.loaded(entry, now))
    }
}
