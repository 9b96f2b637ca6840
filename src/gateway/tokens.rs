//! Tokens: is this one good, and a new one in its place.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Caller, Gateway, GatewayError};
use crate::entropy::Entropy;
use crate::model::Timestamp;
use crate::model::id::SessionId;
use crate::model::request::{Consistency, Touch};
use crate::model::rotation::Successor;
use crate::model::session::{Ended, Session};
use crate::model::token::{CredentialHash, PresentedToken, Token};
use crate::rules::entry::Lookup;
use crate::rules::rotate::{Rotated, TokenRotation};
use crate::seal::TokenKey;
use crate::store::Verified;

/// Whether a token is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// It is.
    Active {
        /// Its session.
        session: Box<Session>,
        /// How long that surely lives without further use.
        remaining: Duration,
        /// When the token should be rotated, if the gateway is set to tell so.
        rotate_after: Option<Timestamp>,
    },
    /// Its session is over.
    Ended(Ended),
    /// It is no session's.
    Unknown,
}

/// What is kept of a rotation, to answer a repetition with.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotatedBefore {
    session_id: SessionId,
    #[serde(deserialize_with = "Token::deserialize_issued")]
    token: Token,
}

impl RotatedBefore {
    /// What is kept of this one.
    #[must_use]
    pub fn of(session: &Session, token: &Token) -> Self {
        Self {
            session_id: session.session_id,
            token: token.clone(),
        }
    }
}

impl Gateway {
    /// Whether a token is good.
    pub async fn verify(
        &self,
        token: &str,
        touch: Touch,
        consistency: Consistency,
    ) -> Result<Verification, GatewayError> {
        let found = match self.look_up(token, touch, consistency).await? {
            Lookup::Live(found) => *found,
            Lookup::Ended(tombstone) => return Ok(Verification::Ended(tombstone.ended)),
            Lookup::Unknown => return Ok(Verification::Unknown),
        };
        let age = self.lifetimes.rotate_after;
        let hash = CredentialHash::of(token.as_bytes());
        Ok(Verification::Active {
            rotate_after: age.map(|age| found.record.rotate_after(&hash, age)),
            remaining: found.stored_until.since(self.stores.sessions.now()),
            session: Box::new(found.into_session()),
        })
    }

    /// The live session behind a token. Asking is no use of it.
    pub async fn introspect(
        &self,
        token: &str,
        consistency: Consistency,
    ) -> Result<Option<Session>, GatewayError> {
        let found = self.look_up(token, Touch::No, consistency).await?;
        Ok(match found {
            Lookup::Live(found) => Some(found.into_session()),
            Lookup::Ended(_) | Lookup::Unknown => None,
        })
    }

    /// Ends the session behind a token as `logout`, if there is one; whether there is makes no difference to the caller.
    pub async fn revoke(&self, caller: &Caller, token: &str) -> Result<(), GatewayError> {
        if let Some(token) = PresentedToken::parse(token) {
            self.stores
                .sessions
                .revoke(&token, &caller.access())
                .await?;
        }
        Ok(())
    }

    /// Puts a successor in the place of a token. One of the session's last tokens after its grace is
    /// reuse, and ends the session.
    pub async fn rotate(
        &self,
        caller: &Caller,
        entropy: &Entropy,
        token: &str,
    ) -> Result<(Token, Session), GatewayError> {
        let sessions = &self.stores.sessions;
        let presented = PresentedToken::parse(token).ok_or(GatewayError::TokenNotFound)?;
        let session_id = sessions.session_of(&presented).await?;
        let session_id = session_id.ok_or(GatewayError::TokenNotFound)?;
        let key = TokenKey::of(token, session_id)?;
        let random = entropy.token()?;
        let successor = Token::own(session_id, &random);
        let asked = TokenRotation {
            session_id,
            presented: presented.hash,
            successor: Successor {
                hash: successor.hash(),
                sealed: key.seal(&random)?,
            },
            grace: self.lifetimes.rotate_grace,
            access: caller.access(),
        };
        Ok(match sessions.rotate(asked).await? {
            Rotated::Now(session) => (successor, *session),
            Rotated::Before(session, sealed) => {
                let earlier = Token::own(session_id, &*key.open(&sealed)?);
                (earlier, *session)
            }
        })
    }

    /// What a repetition of a rotation is answered with, as long as the session lives.
    pub async fn rotated_before(
        &self,
        caller: &Caller,
        before: RotatedBefore,
    ) -> Result<(Token, Session), GatewayError> {
        let session = self.as_it_is(caller, before.session_id).await?;
        Ok((before.token, session))
    }

    /// What has the form of no token is unknown without asking the store.
    async fn look_up(
        &self,
        token: &str,
        touch: Touch,
        consistency: Consistency,
    ) -> Result<Lookup<Verified>, GatewayError> {
        let found = match PresentedToken::parse(token) {
            Some(token) => {
                let stores = &self.stores;
                stores.find_by_token(&token, touch, consistency).await?
            }
            None => Lookup::Unknown,
        };
        if let Lookup::Unknown = found {
            self.authenticator.refusals.unknown_token();
        }
        Ok(found)
    }
}
