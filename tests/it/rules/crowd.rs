//! A login of more sessions than a create looks at: its limit holds, or nothing ends.

use session_gateway::model::id::{LoginId, SessionId};
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::permission::Scope;
use session_gateway::model::session_token::{StoredToken, TokenOrigin};
use session_gateway::rules::create::{self, LoginSessions, NewSession};
use session_gateway::rules::refusal::Refusal;

use super::{History, Words};

#[test]
fn however_many_sessions_a_login_has_its_limit_holds_or_nothing_ends() {
    let words = Words::new();
    let mut outcomes = [0; 4];
    for seed in 0..32 {
        let mut history = History::new(&words, seed);
        let login = history.login();
        history.open_many(&login);
        for _ in 0..8 {
            outcomes[history.create_in_a_crowd(&login)] += 1;
        }
        history.world.audit();
    }
    assert!(outcomes.iter().all(|times| *times > 0), "{outcomes:?}");
}

impl History<'_> {
    /// One more session, with a token that no other has.
    fn one_of(&mut self, login_id: &LoginId) -> NewSession {
        let new = NewSession {
            login_id: login_id.clone(),
            token: StoredToken {
                hash: self.hash(),
                origin: TokenOrigin::Gateway,
            },
            limit: None,
            ..self.draft()
        };
        self.asked.push(new.clone());
        new
    }

    /// Sessions of which some are over when the last is open.
    fn open_many(&mut self, login_id: &LoginId) {
        for _ in 0..self.random.usize(150..600) {
            let new = self.one_of(login_id);
            let (facts, terms) = (self.world.create_facts(&new), self.world.terms());
            let (opened, _) = self.world.decide(create::create(facts, new, &terms));
            opened.unwrap();
            self.world.now += 10;
        }
    }

    /// Which way it went.
    fn create_in_a_crowd(&mut self, login_id: &LoginId) -> usize {
        let overflows = [
            Overflow::EvictOldest,
            Overflow::EvictOldest,
            Overflow::EvictLeastActive,
            Overflow::Refuse,
        ];
        let limit = SessionLimit {
            max: self.random.choice([1, 150, 190, 200]).unwrap(),
            per: match self.random.u8(0..4) {
                0 => LimitPer::Device,
                _ => LimitPer::Login,
            },
            overflow: self.random.choice(overflows).unwrap(),
        };
        let new = NewSession {
            limit: Some(limit),
            ..self.one_of(login_id)
        };
        let known = self.world.of_login(login_id).len();
        let before = self.counted(&new, limit);
        let (facts, terms) = (self.world.create_facts(&new), self.world.terms());
        assert!(facts.of_login.oldest.len() <= 200);
        let by_id = (limit.per, limit.overflow) == (LimitPer::Login, Overflow::EvictOldest)
            && new.limit_scope == Scope::All;
        let (outcome, effects) = self
            .world
            .decide(create::create(facts, new.clone(), &terms));
        match outcome {
            Ok(created) if known <= LoginSessions::JUDGED => {
                self.limit_is_exact(&new, limit, &before, &created.evicted);
                0
            }
            Ok(created) => {
                assert!(by_id);
                assert_eq!(effects.ended_by_somebody, created.evicted.len());
                let ids = before.iter().map(|record| record.session.session_id);
                let oldest: Vec<SessionId> = ids.take(created.evicted.len()).collect();
                assert_eq!(created.evicted, oldest);
                assert!(self.counted(&new, limit).len() <= limit.max);
                1
            }
            Err(Refusal::LimitReached) => {
                assert!(effects.is_only_expiry(), "{effects:?}");
                assert!(known <= LoginSessions::JUDGED && before.len() >= limit.max);
                assert_eq!(limit.overflow, Overflow::Refuse);
                2
            }
            Err(Refusal::LoginTooLarge) => {
                assert!(effects.is_only_expiry(), "{effects:?}");
                assert!(known > LoginSessions::JUDGED);
                assert!(!by_id || known + 1 - limit.max > LoginSessions::JUDGED);
                3
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
