//! Operations, each made by its script and decided by its rule.

use std::fmt::Debug;
use std::time::Duration;

use super::super::verify::Seen;
use super::world::{CREATE, Facts, WRITE, World};
use super::{STEP, services};
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::id::{ServiceId, SessionId};
use crate::model::limit::{LimitPer, Overflow, SessionLimit};
use crate::model::permission::Scope;
use crate::model::record::{Field, SessionChange, SessionUpdate};
use crate::model::request::{Access, Precondition, Target};
use crate::model::rotation::Successor;
use crate::model::session::{
    ConnectionStats, Device, EndDetail, EndReason, SessionState, UserAgent,
};
use crate::model::session_token::{SealedToken, StoredToken, TokenOrigin};
use crate::model::token::CredentialHash;
use crate::rules::ban::{self, NewBan};
use crate::rules::change;
use crate::rules::create::{self, CreateFacts, NewSession};
use crate::rules::end::{self, EndAll};
use crate::rules::entry::{Lookup, SessionEntry};
use crate::rules::plan::Plan;
use crate::rules::refusal::Refusal;
use crate::rules::rotate::{self, TokenRotation};
use crate::rules::target::TargetFacts;
use crate::rules::{sweep, verify};
use crate::store::{OpError, Touch};

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
            _ => self.load_or_expire(before).await,
        }
    }

    fn time(&mut self, most: u32) -> Duration {
        STEP * self.random.u32(1..=most)
    }

    fn service(&mut self) -> ServiceId {
        let [one, other] = services();
        if self.random.bool() { one } else { other }
    }

    fn access(&mut self) -> Access {
        let service_id = self.service();
        let scope = match self.random.u8(0..4) {
            0 => Scope::OpenedBy(service_id.clone()),
            _ => Scope::All,
        };
        Access { service_id, scope }
    }

    fn id(&mut self) -> SessionId {
        let live = self.random.choice(&self.live).copied();
        let live = live.filter(|_| self.random.u8(0..4) > 0);
        live.or_else(|| self.random.choice(&self.ids).copied())
            .unwrap()
    }

    fn device(&mut self) -> Option<Device> {
        let device = *self.random.choice(&["", "phone", "web"]).unwrap();
        Device::parse(device).ok()
    }

    /// A session and a token that leads to it, or would if it were its.
    fn token(&mut self) -> (SessionId, CredentialHash) {
        let last = self.tokens.iter().rev().take(6).copied();
        let known = self.random.choice(last.collect::<Vec<_>>());
        let known = known.filter(|_| self.random.u8(0..6) > 0);
        known.unwrap_or_else(|| (self.id(), self.new_hash()))
    }

    fn new_hash(&mut self) -> CredentialHash {
        CredentialHash::of(&self.random.u64(..).to_be_bytes())
    }

    fn target(&mut self, facts: &Facts, operation_id: bool) -> (Target, TargetFacts) {
        let session_id = self.id();
        let precondition = match self.random.u8(0..4) {
            0 => Precondition::Versions(vec![self.random.u64(1..4), 2]),
            _ => Precondition::None,
        };
        let target = Target {
            session_id,
            access: self.access(),
            precondition,
            operation_id: if operation_id {
                self.maybe_marked(WRITE, session_id)
            } else {
                None
            },
        };
        let found = TargetFacts {
            first_run: facts.first_run(target.operation_id),
            session: facts.entry(session_id),
        };
        (target, found)
    }

    fn limit(&mut self) -> Option<SessionLimit> {
        let overflows = [
            Overflow::EvictOldest,
            Overflow::EvictLeastActive,
            Overflow::Refuse,
        ];
        let limit = SessionLimit {
            max: self.random.usize(0..4),
            per: if self.random.bool() {
                LimitPer::Login
            } else {
                LimitPer::Device
            },
            overflow: *self.random.choice(&overflows).unwrap(),
        };
        self.random.bool().then_some(limit)
    }

    fn new_session(&mut self) -> NewSession {
        let (session_id, known) = self.token();
        let origin = match self.random.u8(0..5) {
            0 => TokenOrigin::Caller,
            _ => TokenOrigin::Gateway,
        };
        NewSession {
            session_id,
            token: StoredToken {
                hash: known,
                origin,
            },
            login_id: self.login_id.clone(),
            service_id: self.service(),
            state: SessionState::Active,
            idle_timeout: self.time(12),
            max_age: self.time(40),
            limit: self.limit(),
            attributes: [self.attribute()].into_iter().collect(),
            device: self.device(),
            device_id: None,
            connection_id: None,
            client_ip: None,
            client_port: Some(7),
            user_agent: None,
            server_addr: None,
            operation_id: self.maybe_marked(CREATE, session_id),
        }
    }

    async fn create(&mut self, facts: Facts) {
        let new = self.new_session();
        let found = CreateFacts {
            first_run: facts.first_run(new.operation_id),
            same_id: facts.entry(new.session_id),
            // A token leads to no other session here: where it does, that is judged before the script.
            token_holder: SessionEntry::Missing,
            ban: facts.ban.clone(),
            of_login: match new.limit {
                Some(_) => self.of_login(&facts).await,
                None => Vec::new(),
            },
        };
        let decision = create::create(found, new.clone(), &self.terms());
        let made = self.sessions.create(new.clone()).await;
        same(made, &decision.outcome);
        self.tokens.push((new.session_id, new.token.hash));
        self.compare("create", facts, decision.plan).await;
    }

    fn attribute(&mut self) -> (AttributeName, AttributeValue) {
        let name = *self.random.choice(&["count", "cart", "last name"]).unwrap();
        let values = [
            "1",
            "-3",
            "9223372036854775800",
            "\"text\"",
            "null",
            "true",
            "{\"a\":1}",
            "{\"a\":null,\"b\":{\"c\":[1]}}",
        ];
        let value = *self.random.choice(&values).unwrap();
        (
            AttributeName::parse(name).unwrap(),
            AttributeValue::parse(value.as_bytes()).unwrap(),
        )
    }

    fn session_change(&mut self) -> SessionChange {
        let (name, value) = self.attribute();
        match self.random.u8(0..5) {
            0 => {
                let patch = [(name, value), self.attribute()];
                SessionChange::MergeAttributes(patch.into_iter().collect())
            }
            1 => SessionChange::PutAttribute(name, value),
            2 => SessionChange::RemoveAttribute(name),
            3 => SessionChange::IncrementAttribute(name, self.random.i64(-5..1_000)),
            _ => SessionChange::Update(Box::new(self.update())),
        }
    }

    fn update(&mut self) -> SessionUpdate {
        let states = [
            None,
            Some(SessionState::Active),
            Some(SessionState::Disconnecting),
        ];
        SessionUpdate {
            state: *self.random.choice(&states).unwrap(),
            device: match self.device() {
                Some(device) => Field::Set(device),
                None => Field::Clear,
            },
            user_agent: match self.random.u8(0..3) {
                0 => Field::Keep,
                1 => Field::Clear,
                _ => Field::Set(UserAgent::parse(&"browser ".repeat(20)).unwrap()),
            },
            stats: if self.random.bool() {
                Field::Keep
            } else {
                Field::Set(stats())
            },
            ..SessionUpdate::default()
        }
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
        let made = self.sessions.end_batch(&batch, None).await.unwrap();
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
        let batch = EndAll::banned(&new).batch(Access::to_all(&by));
        let entries = self.of_login(&facts).await;
        let ends = end::end_batch(entries, &batch, &self.terms());
        let made = self.sessions.put_ban(new, &by).await.unwrap();
        assert_eq!(made, decision.outcome);
        let ended = self.sessions.end_batch(&batch, None).await.unwrap();
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
        let decision = verify::verify_and_touch(entry, &hash, &self.terms());
        let loaded = self
            .sessions
            .load_or_expire(session_id, Some(hash), Touch::Yes);
        let found = match loaded.await.unwrap() {
            Lookup::Live(seen) => {
                let Seen { record, .. } = *seen;
                Lookup::Live(Box::new(record))
            }
            Lookup::Ended(tombstone) => Lookup::Ended(tombstone),
            Lookup::Unknown => Lookup::Unknown,
        };
        assert_eq!(found, decision.outcome);
        self.compare("load_or_expire", facts, decision.plan).await;
    }
}

fn and(mut plan: Plan, more: Plan) -> Plan {
    plan.writes.extend(more.writes);
    plan.events.extend(more.events);
    plan
}

fn stats() -> ConnectionStats {
    ConnectionStats {
        packets_sent: 1,
        packets_received: 2,
        bytes_sent: 3,
        bytes_received: 4,
        retransmissions: 5,
        rtt_ms: 6,
    }
}
