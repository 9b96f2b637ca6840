//! The randomness of one request.
//!
//! Everything random comes from the operating system's generator; a request that may be a repetition draws
//! from the seed of its first attempt, so that it makes the same ids and credentials again.

use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::Timestamp;
use crate::model::id::{LoginId, SessionId};
use crate::model::request::OperationId;
use crate::model::token::RANDOM_BYTES;

/// There is no randomness to be had.
#[derive(Debug, Clone, Copy, Error)]
pub enum EntropyError {
    /// The operating system gives none.
    #[error("the operating system gives no random bytes")]
    System(#[from] getrandom::Error),
    /// More is wanted of a seed than can be made of it.
    #[error("a seed is too short")]
    SeedTooShort(#[from] hkdf::InvalidLength),
}

/// Random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, EntropyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

/// What the first attempt of a request drew, kept in its idempotency record.
#[derive(Clone)]
pub struct ClaimedEntropy {
    /// 256 random bits from the operating system.
    pub bytes: Zeroizing<[u8; RANDOM_BYTES]>,
    /// When they were drawn.
    pub at: Timestamp,
    /// Names the effect of the request.
    pub operation_id: OperationId,
}

impl std::fmt::Debug for ClaimedEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimedEntropy")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Where a request draws from.
#[derive(Debug, Clone, Default)]
pub enum Entropy {
    /// The operating system, afresh.
    #[default]
    Fresh,
    /// The seed of its first attempt, through HKDF-SHA-256 (RFC 5869).
    Claimed(ClaimedEntropy),
}

impl Entropy {
    fn bytes<const N: usize>(
        &self,
        purpose: &'static str,
    ) -> Result<Zeroizing<[u8; N]>, EntropyError> {
        let Self::Claimed(seed) = self else {
            return random_bytes();
        };
        let mut bytes = Zeroizing::new([0; N]);
        Hkdf::<Sha256>::new(None, seed.bytes.as_slice())
            .expand(purpose.as_bytes(), bytes.as_mut_slice())?;
        Ok(bytes)
    }

    /// The id of the session this request opens.
    pub fn session_id(
        &self,
        now: Timestamp,
        login_id: &LoginId,
    ) -> Result<SessionId, EntropyError> {
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
    pub fn token(&self) -> Result<Zeroizing<[u8; RANDOM_BYTES]>, EntropyError> {
        self.bytes("session token")
    }

    /// The random part of the service secret this request hands out.
    pub fn secret(&self) -> Result<Zeroizing<[u8; RANDOM_BYTES]>, EntropyError> {
        self.bytes("service secret")
    }

    /// The name of the request's effect, if it may be a repetition.
    #[must_use]
    pub fn operation_id(&self) -> Option<OperationId> {
        match self {
            Self::Fresh => None,
            Self::Claimed(seed) => Some(seed.operation_id),
        }
    }
}
