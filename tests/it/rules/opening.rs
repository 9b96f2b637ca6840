//! Sessions are opened, within limits.

use session_gateway::model::attribute::Attributes;
use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::model::record::SessionRecord;
use session_gateway::model::request::OperationId;
use session_gateway::model::session::{Session, SessionState};
use session_gateway::model::session_token::{StoredToken, TokenOrigin};
use session_gateway::rules::ban;
use session_gateway::rules::create::{self, NewSession};
use session_gateway::rules::refusal::Refusal;

use super::{History, seconds};

impl History<'_> {
    pub(super) fn draft(&mut self) -> NewSession {
        let id = u128::try_from(self.asked.len()).unwrap() + 1;
        let brought = self.random.u8(0..4) == 0;
        let hash = match self.random.choice(&self.tokens) {
            Some((_, hash)) if brought && self.random.bool() => *hash,
            _ => self.hash(),
        };
        NewSession {
            session_id: SessionId::from_bytes(id.to_be_bytes()),
            token: StoredToken {
                hash,
                origin: if brought {
                    TokenOrigin::Caller
                } else {
                    TokenOrigin::Gateway
                },
            },
            login_id: self.login(),
            service_id: self.access().service_id,
            registration: self.random.bool().then(|| self.registration()),
            state: if self.random.bool() {
                SessionState::Active
            } else {
                SessionState::Connecting
            },
            idle_timeout: seconds(self.random.choice([2, 60, 1_800]).unwrap()),
            max_age: seconds(self.random.choice([5, 600, 86_400]).unwrap()),
            limit: self.random.bool().then(|| self.limit()),
            limit_scope: self.access().scope,
            attributes: Attributes::default(),
            device: self.random.choice(&self.words.devices).unwrap().clone(),
            device_id: None,
            connection_id: None,
            client_ip: None,
            client_port: None,
            user_agent: None,
            server_addr: None,
            operation_id: self
                .random
                .bool()
                .then(|| OperationId(*self.hash().as_bytes())),
        }
    }

    fn limit(&mut self) -> SessionLimit {
        let overflow = [
            Overflow::EvictOldest,
            Overflow::EvictLeastActive,
            Overflow::Refuse,
        ];
        SessionLimit {
            max: self.random.usize(0..4),
            per: self
                .random
                .choice([LimitPer::Login, LimitPer::Device])
                .unwrap(),
            overflow: self.random.choice(overflow).unwrap(),
        }
    }

    /// The live sessions that a limit counts for a create.
    pub(super) fn counted(&self, new: &NewSession, limit: SessionLimit) -> Vec<SessionRecord> {
        let ids = self.world.of_login(&new.login_id);
        let live = ids.into_iter().filter_map(|id| self.world.live(id));
        live.filter(|record| limit.per == LimitPer::Login || record.session.device == new.device)
            .filter(|record| record.is_within(&new.limit_scope))
            .collect()
    }

    pub(super) fn create(&mut self) {
        let new = self.draft();
        self.asked.push(new.clone());
        self.tokens.push((new.session_id, new.token.hash));
        let terms = self.world.terms();
        let banned = ban::in_force(self.world.ban(&new.login_id), &new.login_id, terms.now);
        let before = new.limit.map(|limit| self.counted(&new, limit));
        let facts = self.world.create_facts(&new);
        let (outcome, effects) = self
            .world
            .decide(create::create(facts, new.clone(), &terms));
        match outcome {
            Ok(created) => {
                assert_eq!(effects.opened, 1);
                assert_eq!(banned, None);
                assert_eq!(effects.ended_by_somebody, created.evicted.len());
                assert!(self.world.live(new.session_id).is_some());
                if let (Some(limit), Some(before)) = (new.limit, before) {
                    self.limit_is_exact(&new, limit, &before, &created.evicted);
                }
            }
            Err(refusal) => {
                assert!(effects.is_only_expiry(), "{effects:?}");
                match refusal {
                    Refusal::LoginBanned => assert!(banned.is_some()),
                    Refusal::TokenInUse => assert_eq!(new.token.origin, TokenOrigin::Caller),
                    Refusal::LimitReached => {
                        let (limit, before) = (new.limit.unwrap(), before.unwrap());
                        assert!(before.len() >= limit.max);
                        assert!(limit.max == 0 || limit.overflow == Overflow::Refuse);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    pub(super) fn limit_is_exact(
        &self,
        new: &NewSession,
        limit: SessionLimit,
        before: &[SessionRecord],
        evicted: &[SessionId],
    ) {
        let after = self.counted(new, limit);
        assert!(after.len() <= limit.max);
        assert_eq!(evicted.len(), (before.len() + 1).saturating_sub(limit.max));
        let age = |session: &Session| match limit.overflow {
            Overflow::EvictLeastActive => (session.last_active_at, session.session_id),
            Overflow::EvictOldest | Overflow::Refuse => (session.created_at, session.session_id),
        };
        let is_out = |record: &&SessionRecord| evicted.contains(&record.session.session_id);
        let out = before.iter().filter(is_out);
        let youngest = out.map(|record| age(&record.session)).max();
        for kept in before.iter().filter(|record| !is_out(record)) {
            assert!(Some(age(&kept.session)) > youngest);
        }
    }

    /// The same request once more: it opens nothing while anything is told of what the first opened.
    pub(super) fn create_again(&mut self) {
        let Some(new) = self.random.choice(&self.asked).cloned() else {
            return;
        };
        let terms = self.world.terms();
        let live = self.world.live(new.session_id);
        let facts = self.world.create_facts(&new);
        let (outcome, effects) = self
            .world
            .decide(create::create(facts, new.clone(), &terms));
        if let Some(live) =
            live.filter(|live| new.operation_id.is_some() || live.token == new.token)
        {
            assert!(effects.is_only_expiry(), "{effects:?}");
            let again = outcome.unwrap().session;
            assert_eq!(
                (again.session_id, again.version),
                (new.session_id, live.session.version)
            );
        } else if outcome.is_err() {
            assert!(effects.is_only_expiry(), "{effects:?}");
        } else {
            assert_eq!(effects.opened, 1);
        }
    }
}
