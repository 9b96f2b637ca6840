//! The randomness of one request.
//!
//! Everything random comes from the operating system's generator; a request that may
//! be a repetition draws from the seed of its first attempt, so that it makes the same ids and credentials again.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::http::error::ApiError;
use crate::model::Timestamp;
use crate::model::id::{LoginId, SessionId};
use crate::model::token::RANDOM_BYTES;
use crate::store::Mark;

/// Random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, ApiError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| ApiError::Internal(Arc::new(error)))?;
    Ok(bytes)
}

/// What the first attempt of a request drew, kept with its idempotency claim.
#[derive(Clone)]
pub struct Seed {
    /// 256 random bits from the operating system.
    pub bytes: Zeroizing<[u8; RANDOM_BYTES]>,
    /// When they were drawn.
    pub at: Timestamp,
    /// Names the effect of the request.
    pub mark: Mark,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Where a request draws from.
#[derive(Debug, Clone, Default)]
pub enum Draw {
    /// The operating system, afresh.
    #[default]
    Fresh,
    /// The seed of its first attempt, through HKDF-SHA-256 (RFC 5869).
    Claimed(Seed),
}

impl Draw {
    fn bytes<const N: usize>(&self, purpose: &'static str) -> Result<Zeroizing<[u8; N]>, ApiError> {
        let Self::Claimed(seed) = self else {
            return random_bytes();
        };
        let mut bytes = Zeroizing::new([0; N]);
        let expanded = Hkdf::<Sha256>::new(None, seed.bytes.as_slice())
            .expand(purpose.as_bytes(), bytes.as_mut_slice());
        expanded.map_err(|error| ApiError::Internal(Arc::new(error)))?;
        Ok(bytes)
    }

    /// The id of the session this request opens.
    pub fn session_id(&self, now: Timestamp, login_id: &LoginId) -> Result<SessionId, ApiError> {
        let at = match self {
            Self::Fresh => now,
            Self::Claimed(seed) => seed.at,
        };
        Ok(SessionId::new(
            at,
            login_id,
            *self.bytes::<10>("session id")?,
        ))
    }

    /// The random part of the token this request hands out.
    pub fn token(&self) -> Result<Zeroizing<[u8; RANDOM_BYTES]>, ApiError> {
        self.bytes("session token")
    }

    /// The random part of the service secret this request hands out.
    pub fn secret(&self) -> Result<Zeroizing<[u8; RANDOM_BYTES]>, ApiError> {
        self.bytes("service secret")
    }

    /// The name of the request's effect, if it may be a repetition.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        match self {
            Self::Fresh => None,
            Self::Claimed(seed) => Some(seed.mark),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Draw {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
