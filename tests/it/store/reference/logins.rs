//! Rotated tokens and banned logins, as they should be.

use session_gateway::model::Timestamp;
use session_gateway::model::id::SessionId;
use session_gateway::model::login::Ban;
use session_gateway::model::session::EndReason;
use session_gateway::model::session_token::TokenStatus;
use session_gateway::model::token::{CredentialHash, PresentedToken};
use session_gateway::rules::end::EndAll;

use super::{Known, No, Reference, Told};
use crate::store::backend::presented;
use crate::store::rotation::GRACE;

/// Former tokens that a session knows.
const KNOWN: usize = 8;

/// What a rotation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    Before,
}

/// When a ban ends, if ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BannedUntil(pub(crate) Option<Timestamp>);

impl Known {
    /// The token that was this many rotations ago, or the first.
    pub(crate) fn token(&self, ago: usize) -> PresentedToken {
        let turn = self.turned.len().saturating_sub(ago);
        let hash = match turn {
            0 => self.first,
            turn => self.turned[turn - 1].0,
        };
        if hash == self.new.token.hash {
            return presented(&self.new);
        }
        PresentedToken {
            session_id: Some(self.new.session_id),
            hash,
        }
    }

    /// The last successor was lost: it comes to stand before the token that gets another one.
    fn lose_successor(&mut self, shown: CredentialHash, now: Timestamp) {
        let (lost, _) = self.turned.pop().unwrap();
        match self.turned.last_mut() {
            Some((before, _)) => *before = lost,
            None => self.first = lost,
        }
        self.turned.push((shown, now));
    }

    pub(crate) fn token_status(&self, hash: CredentialHash, now: Timestamp) -> TokenStatus {
        let tokens = self.turned.len();
        let ago = (0..=tokens).find(|ago| self.token(*ago).hash == hash);
        match ago {
            None => TokenStatus::Never,
            Some(0) => TokenStatus::Present,
            Some(ago) if ago > KNOWN => TokenStatus::Never,
            Some(ago) if now >= self.turned[tokens - ago].1 => TokenStatus::Reused,
            Some(1) => TokenStatus::Previous,
            Some(_) => TokenStatus::Late,
        }
    }
}

impl Reference {
    pub(crate) fn rotate(
        &mut self,
        session_id: SessionId,
        shown: CredentialHash,
        successor: CredentialHash,
        now: Timestamp,
    ) -> Result<Turn, No> {
        let same = |known: &&mut Known| known.new.session_id == session_id;
        let known = self.sessions.iter_mut().find(same);
        let known = known.filter(|known| known.told(now));
        let known = known.ok_or(No::TokenUnknown)?;
        match known.token_status(shown, now) {
            TokenStatus::Never => Err(No::TokenUnknown),
            _ if !known.live() => Err(No::Ended),
            TokenStatus::Reused if !(known.unused && known.token(1).hash == shown) => {
                known.end(EndReason::TokenReuse, now);
                Err(No::Ended)
            }
            status @ (TokenStatus::Present | TokenStatus::Reused) => {
                if status == TokenStatus::Reused {
                    known.lose_successor(shown, now);
                }
                known.turned.push((successor, now.plus(GRACE)));
                known.unused = true;
                known.touch(now);
                known.story.push(Told::Rotated);
                Ok(Turn::Now)
            }
            TokenStatus::Previous => Ok(Turn::Before),
            TokenStatus::Late => Err(No::TokenUnknown),
        }
    }

    /// Until when a login is banned, if it is.
    pub(crate) fn ban_of(&self, login: &str, now: Timestamp) -> Option<BannedUntil> {
        let until = self.bans.get(login).copied()?;
        let holds = until.is_none_or(|until| now < until);
        holds.then_some(BannedUntil(until))
    }

    /// How many sessions the ban ends.
    pub(crate) fn ban(&mut self, ban: &Ban, now: Timestamp) -> u64 {
        let login = ban.login_id.as_str().to_owned();
        let ended = self.end_all(&EndAll::banned_by(ban), now);
        self.bans.insert(login.clone(), ban.until);
        let told = self.stories.entry(login).or_default();
        told.push(Told::Banned(ban.until));
        ended.len() as u64
    }

    pub(crate) fn unban(&mut self, login: &str, now: Timestamp) -> Result<(), No> {
        self.ban_of(login, now).ok_or(No::NotBanned)?;
        self.bans.remove(login);
        let told = self.stories.entry(login.to_owned()).or_default();
        told.push(Told::Unbanned);
        Ok(())
    }
}
