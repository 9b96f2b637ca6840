//! Where the tokens of callers lead. A token is reserved before its session is opened and settled afterwards; both only
//! lead to a session, whose record decides.

use std::time::Duration;

use deadpool_redis::redis;

use super::super::call::call;
use super::super::connections::{Effect, Slot};
use super::super::reply::optional_bytes;
use super::Sessions;
use crate::model::id::SessionId;
use crate::model::session_token::{StoredToken, TokenOrigin};
use crate::model::token::{CredentialHash, PresentedToken};
use crate::rules::create::NewSession;
use crate::rules::entry::Lookup;
use crate::rules::refusal::Refusal;
use crate::store::{OpError, StoreError};

/// How long a create has to open the session it reserved a token for.
const RESERVATION: Duration = Duration::from_secs(60);

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

/// What stands under a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    session_id: SessionId,
    /// Whether the session was opened, at some time.
    settled: bool,
}

impl Holder {
    fn bytes(self) -> Vec<u8> {
        let kind: &[u8] = if self.settled { b"s" } else { b"r" };
        [kind, self.session_id.as_bytes()].concat()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, id) = bytes.split_first()?;
        Some(Self {
            session_id: SessionId::from_bytes(id.try_into().ok()?),
            settled: *kind == b's',
        })
    }
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

    /// Takes a token for a session that is to be opened. One of the gateway's own names its session already.
    pub(super) async fn reserve(&self, new: &NewSession) -> Result<(), OpError> {
        if new.token.origin == TokenOrigin::Gateway {
            return Ok(());
        }
        let own = Holder {
            session_id: new.session_id,
            settled: false,
        };
        let mut reserve = redis::cmd("SET");
        reserve
            .arg(self.client.keys.token(&new.token.hash))
            .arg(own.bytes())
            .arg("NX")
            .arg("GET")
            .arg("PX")
            .arg(RESERVATION.as_millis().to_string());
        let held = self.client.command(slot(&new.token.hash), &reserve).await?;
        let Some(bytes) = optional_bytes(held)? else {
            return Ok(());
        };
        match Holder::parse(&bytes) {
            Some(holder) if holder.session_id == new.session_id => Ok(()),
            Some(holder) if holder.settled && self.is_forgotten(holder).await? => {
                self.take_over(&new.token, &bytes, own).await
            }
            Some(_) | None => Err(Refusal::TokenInUse.into()),
        }
    }

    async fn is_forgotten(&self, holder: Holder) -> Result<bool, StoreError> {
        let found = self.look_up(holder.session_id).await?;
        Ok(matches!(found, Lookup::Unknown))
    }

    async fn take_over(
        &self,
        token: &StoredToken,
        held: &[u8],
        reservation: Holder,
    ) -> Result<(), OpError> {
        let swapped = self
            .swap(token, held, &reservation.bytes(), RESERVATION)
            .await?;
        if swapped {
            Ok(())
        } else {
            Err(Refusal::TokenInUse.into())
        }
    }

    /// Lets a token lead to the session that was opened with it, for as long as anything can be told of that.
    pub(super) async fn settle(&self, new: &NewSession) -> Result<(), StoreError> {
        if new.token.origin == TokenOrigin::Gateway {
            return Ok(());
        }
        let settings = &self.settings;
        let kept = new.max_age + settings.sweep_grace + settings.tombstone_retention;
        let [reserved, settled] = [false, true].map(|settled| Holder {
            session_id: new.session_id,
            settled,
        });
        self.swap(&new.token, &reserved.bytes(), &settled.bytes(), kept)
            .await?;
        Ok(())
    }

    /// Gives a reserved token back. If that fails, it goes back when the reservation is over.
    pub(super) async fn give_back(&self, new: &NewSession) {
        if new.token.origin == TokenOrigin::Gateway {
            return;
        }
        let own = Holder {
            session_id: new.session_id,
            settled: false,
        };
        let given = self.swap(&new.token, &own.bytes(), b"", RESERVATION).await;
        if let Err(error) = given {
            tracing::warn!(%error, "a reserved token could not be given back");
        }
    }

    async fn swap(
        &self,
        token: &StoredToken,
        old: &[u8],
        new: &[u8],
        kept: Duration,
    ) -> Result<bool, StoreError> {
        let swap = SwapHolder {
            held: old,
            new: (!new.is_empty()).then_some(new),
            kept,
        };
        let key = self.client.keys.token(&token.hash);
        self.client.call_on(slot(&token.hash), key, &swap).await
    }
}

fn slot(hash: &CredentialHash) -> Slot {
    Slot::Hash(*hash.as_bytes())
}
