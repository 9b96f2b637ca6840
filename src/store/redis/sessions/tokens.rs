//! Where the tokens of callers lead. A token is taken for a session before that is opened, for as long as anything can be
//! told of it; whether it was opened, its record decides. Who finds a token taken for a session that is not there bars the
//! id of that first: then a create that is only slow cannot open it behind the token that it has lost.

use std::time::Duration;

use deadpool_redis::redis;

use super::super::activity::Noted;
use super::super::call::call;
use super::super::connections::{Effect, Slot};
use super::super::keys::slot_of;
use super::super::record::SESSION;
use super::super::reply::optional_bytes;
use super::Sessions;
use crate::model::id::SessionId;
use crate::model::session_token::TokenOrigin;
use crate::model::token::{CredentialHash, PresentedToken};
use crate::rules::create::NewSession;
use crate::rules::refusal::Refusal;
use crate::store::{OpError, StoreError};

/// How long an id stays barred: longer than any create takes.
const BARRED: Duration = Duration::from_secs(60 * 60);

call! {
    struct SwapHolder<'a>: "swap.lua", "", [] {
        held: &'a [u8],
        new: Option<&'a [u8]>,
        kept: Duration,
    }
    "token", replicated: false, effect: Effect::Repeatable;
    (self, _reply) -> bool {
        "done" => true,
        "stale" => false,
    }
}

call! {
    struct BarId: "bar.lua", "", [SHARD, SESSION] {
        session: Noted,
        kept: Duration,
    }
    SESSION, replicated: true, effect: Effect::Repeatable;
    (self, _reply) -> bool {
        "done" => true,
        "there" => false,
    }
}

/// The session that a token was taken for, behind a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    session_id: SessionId,
    /// Whether a version before this one took it, whose creates find no barred ids. It takes tokens for a minute, and then
    /// writes another letter, or lets them go.
    reserved: bool,
}

impl Holder {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.split_first()?;
        Some(Self {
            session_id: SessionId::from_bytes(id.try_into().ok()?),
            reserved: *kind == b'r',
        })
    }
}

/// The version before takes any letter but `s` for a token that is not to be taken over.
fn taken_for(session_id: SessionId) -> Vec<u8> {
    [b"t", session_id.as_bytes().as_slice()].concat()
}

/// Whose a token was before this create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its own: it is a repeated one, or the token is of the gateway's own making and names its session.
    Before,
    /// Nobody's: it goes back if nothing is opened.
    Now,
}

impl Sessions {
    /// The session that a token is to be looked for in.
    pub(super) async fn session_of(
        &self,
        token: &PresentedToken,
    ) -> Result<Option<SessionId>, StoreError> {
        if token.session_id.is_some() {
            return Ok(token.session_id);
        }
        let mut read = redis::cmd("GET");
        read.arg(self.client.keys.token(&token.hash));
        let held = self.client.command(slot(&token.hash), &read).await?;
        let held = optional_bytes(held)?;
        Ok(held
            .and_then(|held| Holder::parse(&held))
            .map(|holder| holder.session_id))
    }

    /// Takes a token for a session that is to be opened.
    pub(super) async fn take_token(&self, new: &NewSession) -> Result<Taken, OpError> {
        if new.token.origin == TokenOrigin::Gateway {
            return Ok(Taken::Before);
        }
        let mut take = redis::cmd("SET");
        take.arg(self.client.keys.token(&new.token.hash))
            .arg(taken_for(new.session_id))
            .arg("NX")
            .arg("GET")
            .arg("PX")
            .arg(self.kept(new).as_millis().to_string());
        let held = self.client.command(slot(&new.token.hash), &take).await?;
        let Some(held) = optional_bytes(held)? else {
            return Ok(Taken::Now);
        };
        let in_use = Refusal::TokenInUse;
        let holder = Holder::parse(&held).ok_or(in_use.clone())?;
        let taken = if holder.session_id == new.session_id {
            Taken::Before
        } else if !holder.reserved && self.bar(holder.session_id).await? {
            Taken::Now
        } else {
            return Err(in_use.into());
        };
        let own = taken_for(new.session_id);
        if self.swap(new, &held, Some(&own)).await? {
            Ok(taken)
        } else {
            Err(in_use.into())
        }
    }

    /// How long a token leads to its session: for as long as anything can be told of that.
    fn kept(&self, new: &NewSession) -> Duration {
        new.max_age + self.settings.sweep_grace + self.settings.tombstone_retention
    }

    /// Whether a session is neither there nor told of; then it cannot be opened any more.
    async fn bar(&self, session_id: SessionId) -> Result<bool, StoreError> {
        let bar = BarId {
            session: self.activity.noted_of(session_id),
            kept: BARRED,
        };
        self.client.call(slot_of(session_id), &bar).await
    }

    /// Gives a token back for which nothing was opened. If that fails, whoever brings it takes it over.
    pub(super) async fn give_back(&self, new: &NewSession) {
        let given = self.swap(new, &taken_for(new.session_id), None).await;
        if let Err(error) = given {
            tracing::warn!(%error, "a token could not be given back");
        }
    }

    async fn swap(
        &self,
        new: &NewSession,
        held: &[u8],
        next: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let hash = &new.token.hash;
        let swap = SwapHolder {
            held,
            new: next,
            kept: self.kept(new),
        };
        let key = self.client.keys.token(hash);
        self.client.call_on(slot(hash), key, &swap).await
    }
}

fn slot(hash: &CredentialHash) -> Slot {
    Slot::Hash(*hash.as_bytes())
}
