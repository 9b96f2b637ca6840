//! What a store keeps of a session's tokens: the present one, and the former ones.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::token::CredentialHash;

/// What a store keeps of a session's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// SHA-256 of the token.
    pub hash: CredentialHash,
    /// Who made it, which decides whether an index must lead from it to the session.
    pub origin: TokenOrigin,
}

/// Who made a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenOrigin {
    /// The gateway: the token tells its session id.
    Gateway,
    /// The caller: an index leads from its hash to the session.
    Caller,
}

/// The random part of a token, encrypted under a key that only the token before it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedToken(pub Vec<u8>);

/// The last rotation of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// When it was.
    pub at: Timestamp,
    /// The token that it made.
    pub sealed: SealedToken,
    /// The tokens before that.
    pub former: FormerTokens,
    /// Whether nobody has shown the token that it made: then the answer that told it may be lost.
    #[serde(skip)]
    pub unused: bool,
}

/// The tokens that a session had before its present one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerTokens {
    /// SHA-256 of the last of them.
    pub previous: CredentialHash,
    /// SHA-256 of the one that a caller brought, which stays in use until the session is forgotten.
    pub external: Option<CredentialHash>,
    /// The last of them, oldest first.
    pub last: Vec<FormerToken>,
}

/// One former token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerToken {
    /// The beginning of its SHA-256: enough to tell it from what anybody could find.
    pub mark: [u8; FormerToken::MARK_BYTES],
    /// When its grace is over.
    pub until: Timestamp,
}

impl FormerToken {
    /// Bytes of a mark.
    pub const MARK_BYTES: usize = 8;

    fn of(hash: &CredentialHash, until: Timestamp) -> Self {
        let mut mark = [0; Self::MARK_BYTES];
        for (slot, byte) in mark.iter_mut().zip(hash.as_bytes()) {
            *slot = *byte;
        }
        Self { mark, until }
    }

    fn is(&self, presented: &CredentialHash) -> bool {
        presented.as_bytes().starts_with(&self.mark)
    }
}

/// What a presented token is to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    /// Its token.
    Present,
    /// The one before, within its grace.
    Previous,
    /// A former one that was rotated on from, within its grace.
    Late,
    /// A former one after its grace.
    Reused,
    /// None that the session knows of.
    Never,
}

impl TokenStatus {
    /// Whether such a token opens the session.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Present | Self::Previous => true,
            Self::Late | Self::Reused | Self::Never => false,
        }
    }
}

impl FormerTokens {
    /// Tokens that a session knows.
    pub const MOST: usize = 8;

    pub(super) fn token_status(&self, presented: &CredentialHash, now: Timestamp) -> TokenStatus {
        match self.last.iter().rev().find(|former| former.is(presented)) {
            None => TokenStatus::Never,
            Some(former) if now >= former.until => TokenStatus::Reused,
            Some(_) if self.previous == *presented => TokenStatus::Previous,
            Some(_) => TokenStatus::Late,
        }
    }

    /// When the grace of a former token is over.
    pub(super) fn grace_ends(&self, presented: &CredentialHash) -> Option<Timestamp> {
        let former = self.last.iter().rev().find(|former| former.is(presented))?;
        Some(former.until)
    }

    /// These, where the successor of the last one was never used and gives way to another: it comes to stand before
    /// that, as one whose grace is over.
    pub(super) fn without_successor(mut self, successor: &CredentialHash, now: Timestamp) -> Self {
        self.last.pop();
        self.last.push(FormerToken::of(successor, now));
        self
    }

    /// These and one more.
    pub(super) fn followed_by(before: Option<Self>, token: StoredToken, until: Timestamp) -> Self {
        let (external, mut last) =
            before.map_or((None, Vec::new()), |before| (before.external, before.last));
        last.push(FormerToken::of(&token.hash, until));
        last.drain(..last.len().saturating_sub(Self::MOST));
        Self {
            previous: token.hash,
            external: match token.origin {
                TokenOrigin::Caller => Some(token.hash),
                TokenOrigin::Gateway => external,
            },
            last,
        }
    }
}
