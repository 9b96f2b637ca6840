//! Rotations and bans on both sides.

use session_gateway::model::Timestamp;
use session_gateway::model::login::Ban;
use session_gateway::model::rotation::Successor;
use session_gateway::model::session::EndDetail;
use session_gateway::model::session_token::SealedToken;
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::ban::NewBan;
use session_gateway::rules::create::NewSession;
use session_gateway::rules::rotate::{Rotated, TokenRotation};
use session_gateway::store::OpError;

use super::{Pair, no};
use crate::store::backend::{access, login_id, service};
use crate::store::reference::{BannedUntil, No, Turn};
use crate::store::rotation::GRACE;

impl Pair {
    /// By the token that a session had so many rotations ago; its successor is one that nobody had before.
    pub(super) async fn rotate(&mut self, new: &NewSession, ago: usize, now: Timestamp) {
        let known = self.reference.by_token(new).unwrap();
        let (session_id, shown) = (known.new.session_id, known.token(ago));
        self.rotations += 1;
        let successor = CredentialHash::of(format!("successor {}", self.rotations).as_bytes());
        let sessions = &self.backend().stores.sessions;
        let holder = sessions.session_of(&shown).await.unwrap();
        let rotation = TokenRotation {
            session_id: holder.unwrap_or(session_id),
            presented: shown.hash,
            successor: Successor {
                hash: successor,
                sealed: SealedToken(successor.as_bytes().to_vec()),
            },
            grace: GRACE,
            access: access(),
        };
        let done = sessions.rotate(rotation).await;
        let expected = self
            .reference
            .rotate(session_id, shown.hash, successor, now);
        if let Ok(Rotated::Before(_, sealed)) = &done {
            let known = self.reference.by_token(new).unwrap();
            assert_eq!(sealed.0, known.token(0).hash.as_bytes());
        }
        assert_eq!(turn(done), expected);
    }

    pub(super) async fn ban(&mut self, login: &str, seconds: Option<u64>, now: Timestamp) {
        let until = seconds.map(|seconds| now.plus(std::time::Duration::from_secs(seconds)));
        let new = NewBan {
            login_id: login_id(login),
            until,
            reason: EndDetail::parse("spam").unwrap(),
        };
        let sessions = &self.backend().stores.sessions;
        let banned = sessions.ban(new.clone(), &service("web")).await.unwrap();
        let expected = Ban {
            login_id: new.login_id,
            until,
            reason: new.reason,
            at: now,
            by: service("web"),
        };
        assert_eq!(banned.ban, expected);
        assert_eq!(banned.count, self.reference.ban(&expected, now));
    }

    pub(super) async fn unban(&mut self, login: &str, now: Timestamp) {
        let sessions = &self.backend().stores.sessions;
        let done = sessions.unban(&login_id(login), &service("web")).await;
        assert_eq!(done.map_err(no), self.reference.unban(login, now));
    }

    pub(super) async fn find_ban(&self, login: &str, now: Timestamp) {
        let sessions = &self.backend().stores.sessions;
        let found = sessions.find_ban(&login_id(login)).await.unwrap();
        let until = found.map(|ban| BannedUntil(ban.until));
        assert_eq!(until, self.reference.ban_of(login, now));
    }
}

fn turn(done: Result<Rotated, OpError>) -> Result<Turn, No> {
    match done {
        Ok(Rotated::Now(_)) => Ok(Turn::Now),
        Ok(Rotated::Before(..)) => Ok(Turn::Before),
        Err(error) => Err(no(error)),
    }
}
