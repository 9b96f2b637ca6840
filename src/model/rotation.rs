//! Rotation: a session gets a new token, and what its former tokens are still good for.
//!
//! The previous token is good until its grace is over, and leads to its successor, so that requests that cross do no
//! harm. When it is shown for rotation after that, and its successor was never used, the answer that told of the
//! successor was lost: it gets another one, and the lost one counts as copied from then on. Any other former token that is
//! shown for rotation after its grace was copied: that is reuse. Of the last [`FormerTokens::MOST`] tokens a session knows
//! that they were its own; of any other string it knows nothing.

use std::time::Duration;

use super::Timestamp;
use super::record::SessionRecord;
use super::request::Touch;
use super::session::Tombstone;
use super::session_token::{
    FormerTokens, Rotation, SealedToken, StoredToken, TokenOrigin, TokenStatus,
};
use super::token::CredentialHash;

/// A token that is to take the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// SHA-256 of it.
    pub hash: CredentialHash,
    /// For those who show the token before it.
    pub sealed: SealedToken,
}

/// What a rotation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationOutcome {
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

fn token_status(
    present: StoredToken,
    former: Option<&FormerTokens>,
    presented: &CredentialHash,
    now: Timestamp,
) -> TokenStatus {
    if present.hash == *presented {
        return TokenStatus::Present;
    }
    former.map_or(TokenStatus::Never, |former| {
        former.token_status(presented, now)
    })
}

fn token_status_until(
    present: StoredToken,
    former: Option<&FormerTokens>,
    presented: &CredentialHash,
) -> Option<Timestamp> {
    let former = former.filter(|_| present.hash != *presented)?;
    former.grace_ends(presented)
}

impl SessionRecord {
    /// What this token is to the session.
    #[must_use]
    pub fn token_status(&self, presented: &CredentialHash, now: Timestamp) -> TokenStatus {
        let former = self.rotation.as_ref().map(|rotation| &rotation.former);
        token_status(self.token, former, presented, now)
    }

    /// When time alone changes that.
    #[must_use]
    pub fn token_status_until(&self, presented: &CredentialHash) -> Option<Timestamp> {
        let former = self.rotation.as_ref().map(|rotation| &rotation.former);
        token_status_until(self.token, former, presented)
    }

    /// Whether this is its token, and shown for the first time since a rotation made it: that must be written before
    /// anybody is told of the session.
    #[must_use]
    pub fn is_first_use(&self, presented: &CredentialHash, touch: Touch) -> bool {
        touch != Touch::Look && self.is_unused() && self.token.hash == *presented
    }

    /// Whether nobody has shown its token since a rotation made it.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.rotation.as_ref().is_some_and(|last| last.unused)
    }

    /// A token is shown.
    pub fn note_use(&mut self, presented: &CredentialHash) {
        if let Some(last) = &mut self.rotation
            && self.token.hash == *presented
        {
            last.unused = false;
        }
    }

    /// Puts the successor in the place of the token that is presented, if it is the present one, or in that of a successor
    /// that was never used; that counts as use.
    pub fn rotate(
        &mut self,
        presented: &CredentialHash,
        successor: Successor,
        grace: Duration,
        now: Timestamp,
    ) -> RotationOutcome {
        let last = self.rotation.as_ref();
        if self.token.hash == successor.hash
            && last.is_some_and(|last| last.former.previous == *presented)
        {
            return RotationOutcome::Again;
        }
        match (self.token_status(presented, now), last) {
            (TokenStatus::Present, _) => {
                let former = self.rotation.take().map(|last| last.former);
                let former = FormerTokens::followed_by(former, self.token, now.plus(grace));
                self.succeed(former, successor, now)
            }
            (TokenStatus::Reused, Some(last))
                if last.unused && last.former.previous == *presented =>
            {
                let former = last.former.clone();
                let former = former.without_successor(&self.token.hash, now);
                let again = StoredToken {
                    hash: *presented,
                    origin: TokenOrigin::Gateway,
                };
                let former = FormerTokens::followed_by(Some(former), again, now.plus(grace));
                self.succeed(former, successor, now)
            }
            (TokenStatus::Previous, Some(last)) => RotationOutcome::Before(last.sealed.clone()),
            (TokenStatus::Reused, _) => RotationOutcome::Reused,
            (TokenStatus::Previous | TokenStatus::Late | TokenStatus::Never, _) => {
                RotationOutcome::Unknown
            }
        }
    }

    fn succeed(
        &mut self,
        former: FormerTokens,
        successor: Successor,
        now: Timestamp,
    ) -> RotationOutcome {
        self.rotation = Some(Rotation {
            at: now,
            sealed: successor.sealed,
            former,
            unused: true,
        });
        self.token = StoredToken {
            hash: successor.hash,
            origin: TokenOrigin::Gateway,
        };
        self.touch(now);
        RotationOutcome::Done
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
    pub fn token_status(&self, presented: &CredentialHash, now: Timestamp) -> TokenStatus {
        token_status(self.token, self.former.as_ref(), presented, now)
    }

    /// When time alone changes that.
    #[must_use]
    pub fn token_status_until(&self, presented: &CredentialHash) -> Option<Timestamp> {
        token_status_until(self.token, self.former.as_ref(), presented)
    }
}
