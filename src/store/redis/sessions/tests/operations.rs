//! Operations, each made by its script and decided by its rule.

use std::fmt::Debug;

use super::STEP;
use super::facts::Facts;
use super::requests::stats;
use super::world::World;
use crate::model::request::{Access, Touch};
use crate::model::rotation::Successor;
use crate::model::session::{EndDetail, EndReason};
use crate::model::session_token::SealedToken;
use crate::model::token::PresentedToken;
use crate::rules::ban::{self, NewBan};
use crate::rules::change;
use crate::rules::create::{self, CreateFacts, LoginSessions, NewSession};
use crate::rules::end::{self, EndAll};
use crate::rules::entry::{Lookup, SessionEntry};
use crate::rules::plan::Plan;
use crate::rules::refusal::Refusal;
use crate::rules::rotate::{self, TokenRotation};
use crate::rules::{sweep, verify};
use crate::store::OpError;

/// What came of a script is what came of the rule.
#[track_caller]
fn same<T: Debug + PartialEq>(made: Result<T, OpError>, decided: &Result<T, Refusal>) {
    let made = made.map_err(|error| match error {
        OpError::Refused(refusal) => refusal,
        OpError::Store(error) => panic!("{error:?}"),
    });
    assert_eq!(&made, decided);
}

impl World {
    pub(super) async fn operate(&mut self) {
        match self.random.u8(0..20) {
            0..14 => {}
            19 if self.random.u8(0..4) == 0 => self.pass(STEP * 6 * 60 * 24),
            _ => {
                let time = self.time(3);
                self.pass(time);
            }
        }
        let before = self.facts().await;
        self.live = before.live();
        match self.random.u8(0..24) {
            0..5 => self.create(before).await,
            5..11 => self.change(before).await,
            11 => self.refresh(before).await,
            12 => self.heartbeat(before).await,
            13..17 => self.rotate(before).await,
            17 => self.end(before).await,
            18 => self.end_all(before).await,
            19 => self.sweep(before).await,
            20 if self.random.bool() => self.ban(before).await,
            21 => self.unban(before).await,
            22 => self.look(before).await,
            _ => self.load_or_expire(before).await,
        }
    }

    async fn create(&mut self, facts: Facts) {
        let new = self.new_session();
        self.create_this(facts, new).await;
    }

    /// Sessions of which some are over when the last is open.
    pub(super) async fn open_many(&mut self, count: u16) {
        for number in 0..count {
            if number % 50 == 0 {
                self.pass(STEP);
            }
            let new = self.one_more(number);
            self.sessions.create(new).await.unwrap();
        }
        self.events().await;
    }

    pub(super) async fn create_in_a_crowd(&mut self, number: u16) {
        let new = NewSession {
            limit: Some(self.crowded_limit()),
            ..self.one_more(number)
        };
        let before = self.facts().await;
        self.create_this(before, new).await;
    }

    async fn create_this(&mut self, facts: Facts, new: NewSession) {
        let found = CreateFacts {
            first_run: facts.first_run(new.operation_id),
            same_id: facts.entry(new.session_id),
            // A token leads to no other session here: where it does, that is judged before the script.
            token_holder: SessionEntry::Missing,
            ban: facts.ban.clone(),
            of_login: match new.limit {
                Some(_) => self.others_of_login(&facts, new.session_id).await,
                None => LoginSessions::default(),
            },
        };
        let decision = create::create(found, new.clone(), &self.terms());
        let made = self.sessions.create(new.clone()).await;
        same(made, &decision.outcome);
        self.tokens.push((new.session_id, new.token.hash));
        self.compare("create", facts, decision.plan).await;
    }

    async fn change(&mut self, facts: Facts) {
        let (target, found) = self.target(&facts, true);
        let change = self.session_change();
        let decision = change::change(found, &target, change.clone(), &self.terms());
        let made = self.sessions.change(target, change).await;
        same(made, &decision.outcome);
        self.compare("change", facts, decision.plan).await;
    }

    async fn refresh(&mut self, facts: Facts) {
        let (target, found) = self.target(&facts, true);
        let ttl = self.time(8);
        let ttl = self.random.bool().then_some(ttl);
        let decision = change::refresh(found, &target, ttl, &self.terms());
        let made = self.sessions.refresh(target, ttl).await;
        same(made, &decision.outcome);
        self.compare("refresh", facts, decision.plan).await;
    }

    async fn heartbeat(&mut self, facts: Facts) {
        let (target, found) = self.target(&facts, true);
        let stats = self.random.bool().then(stats);
        let decision = change::heartbeat(found, &target, stats, &self.terms());
        let made = self.sessions.heartbeat(target, stats).await;
        same(made, &decision.outcome);
        self.compare("heartbeat", facts, decision.plan).await;
    }

    async fn rotate(&mut self, facts: Facts) {
        let (session_id, presented) = self.token();
        let asked = TokenRotation {
            session_id,
            presented,
            successor: Successor {
                hash: self.new_hash(),
                sealed: SealedToken(vec![7; 60]),
            },
            grace: self.time(3),
            access: self.access(),
        };
        self.tokens.push((session_id, asked.successor.hash));
        let entry = facts.entry(session_id);
        let decision = rotate::rotate(entry, asked.clone(), &self.terms());
        let made = self.sessions.rotate(asked).await;
        same(made, &decision.outcome);
        self.compare("rotate", facts, decision.plan).await;
    }

    async fn end(&mut self, facts: Facts) {
        let (mut target, mut found) = self.target(&facts, false);
        let mut token = None;
        if self.random.bool() {
            let (session_id, hash) = self.token();
            token = Some(hash);
            target.session_id = session_id;
            found.session = facts.entry(session_id);
        }
        let reason = EndReason::Logout;
        let decision = end::end(found, &target, reason, token.as_ref(), &self.terms());
        let made = self.sessions.end(&target, reason, token).await;
        // Nobody is told why a token ended nothing.
        let mut decided = decision.outcome;
        if decided == Err(Refusal::TokenUnknown) {
            decided = Err(Refusal::SessionUnknown);
        }
        same(made, &decided);
        self.compare("end", facts, decision.plan).await;
    }

    async fn end_all(&mut self, facts: Facts) {
        let except = self.id();
        let which = EndAll {
            login_id: self.login_id.clone(),
            except: self.random.bool().then_some(except),
            device: self.device(),
            reason: EndReason::KickedOut,
            detail: EndDetail::parse("cheating")
                .ok()
                .filter(|_| self.random.bool()),
        };
        let access = self.access();
        let batch = which.batch(access);
        let entries = self.of_login(&facts).await;
        let decision = end::end_batch(entries, &batch, &self.terms());
        let made = self
            .sessions
            .end_batch(&batch, None, usize::MAX)
            .await
            .unwrap();
        assert_eq!((made.ended, made.next), (decision.outcome, None));
        self.compare("end_all", facts, decision.plan).await;
    }

    async fn ban(&mut self, facts: Facts) {
        let ends = self.time(6);
        let new = NewBan {
            login_id: self.login_id.clone(),
            until: self.random.bool().then(|| self.now().plus(ends)),
            reason: EndDetail::parse("fraud").unwrap(),
        };
        let by = self.service();
        let decision = ban::ban(new.clone(), by.clone(), &self.terms());
        let batch = EndAll::banned_by(&decision.outcome).batch(Access::to_all(&by));
        let entries = self.of_login(&facts).await;
        let ends = end::end_batch(entries, &batch, &self.terms());
        let made = self.sessions.put_ban(new, &by).await.unwrap();
        assert_eq!(made, decision.outcome);
        let ended = self
            .sessions
            .end_batch(&batch, None, usize::MAX)
            .await
            .unwrap();
        assert_eq!((ended.ended, ended.next), (ends.outcome, None));
        let plan = [decision.plan, ends.plan]
            .into_iter()
            .fold(Plan::default(), and);
        self.compare("ban", facts, plan).await;
    }

    async fn unban(&mut self, facts: Facts) {
        let by = self.service();
        let decision = ban::unban(facts.ban.clone(), &self.login_id, &by, &self.terms());
        let made = self.sessions.unban(&self.login_id, &by).await;
        same(made, &decision.outcome);
        self.compare("unban", facts, decision.plan).await;
    }

    async fn sweep(&mut self, facts: Facts) {
        let ids = self.ids.clone();
        let terms = self.terms();
        let plans = ids.iter().map(|id| sweep::sweep(facts.entry(*id), &terms));
        let plan = plans.fold(Plan::default(), and);
        let swept = self.sessions.end_expired(self.slot(), None, &ids).await;
        swept.unwrap();
        self.compare("sweep", facts, plan).await;
    }

    async fn load_or_expire(&mut self, facts: Facts) {
        let (session_id, hash) = self.token();
        let entry = facts.entry(session_id);
        let decision = verify::verify_and_write(entry, &hash, Touch::Yes, &self.terms());
        let loaded = self
            .sessions
            .load_or_expire(session_id, Some(hash), Touch::Yes);
        let found = verify::look_up(loaded.await.unwrap().entry, &self.terms());
        assert_eq!(found, decision.outcome);
        self.compare("load_or_expire", facts, decision.plan).await;
    }

    async fn look(&mut self, facts: Facts) {
        let (session_id, hash) = self.token();
        let (entry, terms) = (facts.entry(session_id), self.terms());
        let scope = self.access().scope;
        let found = self.sessions.find(session_id, &scope).await;
        assert_eq!(found.unwrap(), verify::find(entry.clone(), &scope, &terms));
        let token = PresentedToken {
            hash,
            session_id: Some(session_id),
        };
        let touch = if self.random.bool() {
            Touch::No
        } else {
            Touch::Look
        };
        let found = self.sessions.find_by_token(&token, touch).await;
        let found = found.unwrap().map(|found| (*found.record).clone());
        let expected = verify::verify(entry.clone(), &hash, &terms);
        let is_first_use = matches!(&expected, Lookup::Live(record)
            if record.is_first_use(&hash, touch));
        if is_first_use {
            let decision = verify::verify_and_write(entry, &hash, touch, &terms);
            assert_eq!(found, decision.outcome);
            self.compare("first use", facts, decision.plan).await;
        } else {
            assert_eq!(found, expected);
            self.compare("look", facts, Plan::default()).await;
        }
    }
}

fn and(mut plan: Plan, more: Plan) -> Plan {
    plan.writes.extend(more.writes);
    plan.events.extend(more.events);
    plan
}
