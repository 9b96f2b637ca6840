//! Rotation: a session gets a new token, and what its former tokens are still good for.
//!
//! The previous token is good until its grace is over, and leads to its successor, so that requests that cross do no
//! harm. A former token that is shown for rotation after its grace was copied: that is reuse. Of the last
//! [`FormerTokens::MOST`] tokens a session knows that they were its own; of any other string it knows nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::record::SessionRecord;
use super::session::{StoredToken, TokenOrigin, Tombstone};
use super::token::CredentialHash;

/// The random part of a token, encrypted under a key that only the token before it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedToken(pub Vec<u8>);

/// A token that is to take the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// SHA-256 of it.
    pub hash: CredentialHash,
    /// For those who show the token before it.
    pub sealed: SealedToken,
}

/// The last rotation of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// When it was.
    pub at: Timestamp,
    /// The token that it made.
    pub sealed: SealedToken,
    /// The tokens before that.
    pub former: FormerTokens,
}

/// The tokens that a session had before its present one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerTokens {
    /// SHA-256 of the last of them.
    pub previous: CredentialHash,
    /// SHA-256 of the one that a caller brought, which stays in use until the session is forgotten.
    pub brought: Option<CredentialHash>,
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

    fn is(&self, presented: &CredentialHash) -> bool {
        presented.as_bytes().starts_with(&self.mark)
    }
}

/// What a presented token is to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
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

impl Standing {
    /// Whether such a token opens the session.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Present | Self::Previous => true,
            Self::Late | Self::Reused | Self::Never => false,
        }
    }
}

/// What a rotation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// The successor is the token now.
    Done,
    /// It was already: the same rotation was asked for before.
    Again,
    /// Another successor had taken the place.
    Before(SealedToken),
    /// Somebody uses a token that was rotated: the session must end.
    Reused,
    /// The token is not one that could be rotated.
    Unknown,
}

impl FormerTokens {
    /// Tokens that a session knows.
    pub const MOST: usize = 8;

    fn standing(&self, presented: &CredentialHash, now: Timestamp) -> Standing {
        match self.last.iter().rev().find(|former| former.is(presented)) {
            None => Standing::Never,
            Some(former) if now >= former.until => Standing::Reused,
            Some(_) if self.previous == *presented => Standing::Previous,
            Some(_) => Standing::Late,
        }
    }

    /// These and one more.
    fn followed_by(before: Option<Self>, token: StoredToken, until: Timestamp) -> Self {
        let (brought, mut last) =
            before.map_or((None, Vec::new()), |before| (before.brought, before.last));
        let mut mark = [0; FormerToken::MARK_BYTES];
        for (slot, byte) in mark.iter_mut().zip(token.hash.as_bytes()) {
            *slot = *byte;
        }
        last.push(FormerToken { mark, until });
        last.drain(..last.len().saturating_sub(Self::MOST));
        Self {
            previous: token.hash,
            brought: match token.origin {
                TokenOrigin::Caller => Some(token.hash),
                TokenOrigin::Gateway => brought,
            },
            last,
        }
    }
}

fn standing(
    present: StoredToken,
    former: Option<&FormerTokens>,
    presented: &CredentialHash,
    now: Timestamp,
) -> Standing {
    if present.hash == *presented {
        return Standing::Present;
    }
    former.map_or(Standing::Never, |former| former.standing(presented, now))
}

impl SessionRecord {
    /// What this token is to the session.
    #[must_use]
    pub fn standing(&self, presented: &CredentialHash, now: Timestamp) -> Standing {
        let former = self.rotation.as_ref().map(|rotation| &rotation.former);
        standing(self.token, former, presented, now)
    }

    /// Puts the successor in the place of the token that is presented, if it is the present one; that counts as use.
    pub fn rotate(
        &mut self,
        presented: &CredentialHash,
        successor: Successor,
        grace: Duration,
        now: Timestamp,
    ) -> Exchange {
        let last = self.rotation.as_ref();
        if self.token.hash == successor.hash
            && last.is_some_and(|last| last.former.previous == *presented)
        {
            return Exchange::Again;
        }
        match (self.standing(presented, now), last) {
            (Standing::Present, _) => {
                let former = self.rotation.take().map(|last| last.former);
                self.rotation = Some(Rotation {
                    at: now,
                    sealed: successor.sealed,
                    former: FormerTokens::followed_by(former, self.token, now.plus(grace)),
                });
                self.token = StoredToken {
                    hash: successor.hash,
                    origin: TokenOrigin::Gateway,
                };
                self.touch(now);
                Exchange::Done
            }
            (Standing::Previous, Some(last)) => Exchange::Before(last.sealed.clone()),
            (Standing::Reused, _) => Exchange::Reused,
            (Standing::Previous | Standing::Late | Standing::Never, _) => Exchange::Unknown,
        }
    }

    /// When a good token should be rotated that may be so old.
    #[must_use]
    pub fn rotate_after(&self, presented: &CredentialHash, age: Duration) -> Timestamp {
        let rotated = self.rotation.as_ref().map(|rotation| rotation.at);
        if self.token.hash == *presented {
            rotated.unwrap_or(self.session.created_at).plus(age)
        } else {
            rotated.unwrap_or(self.session.created_at)
        }
    }
}

impl Tombstone {
    /// What this token was to the session.
    #[must_use]
    pub fn standing(&self, presented: &CredentialHash, now: Timestamp) -> Standing {
        standing(self.token, self.former.as_ref(), presented, now)
    }
}
