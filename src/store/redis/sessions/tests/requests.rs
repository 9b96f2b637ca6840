//! Random requests.

use std::time::Duration;

use super::facts::Facts;
use super::world::START;
use super::world::{CREATE, WRITE, World};
use super::{STEP, services};
use crate::model::Timestamp;
use crate::model::attribute::{AttributeName, AttributeValue};
use crate::model::id::{ServiceId, SessionId};
use crate::model::limit::{LimitPer, Overflow, SessionLimit};
use crate::model::permission::{Opener, Scope};
use crate::model::record::{Field, SessionChange, SessionUpdate};
use crate::model::request::{Access, Precondition, Target};
use crate::model::session::{ConnectionStats, Device, SessionState, UserAgent};
use crate::model::session_token::{StoredToken, TokenOrigin};
use crate::model::token::CredentialHash;
use crate::rules::create::NewSession;
use crate::rules::target::TargetFacts;

impl World {
    pub(super) fn time(&mut self, most: u32) -> Duration {
        STEP * self.random.u32(1..=most)
    }

    pub(super) fn service(&mut self) -> ServiceId {
        let [one, other] = services();
        if self.random.bool() { one } else { other }
    }

    pub(super) fn access(&mut self) -> Access {
        let service_id = self.service();
        let scope = match self.random.u8(0..4) {
            0 => Scope::OpenedBy(Opener {
                service_id: service_id.clone(),
                registered_at: self.registration(),
            }),
            _ => Scope::All,
        };
        Access { service_id, scope }
    }

    /// One of two, between which some sessions were opened.
    fn registration(&mut self) -> Timestamp {
        let late = self.random.bool().then(|| 20 * STEP);
        START.plus(late.unwrap_or_default())
    }

    pub(super) fn id(&mut self) -> SessionId {
        let live = self.random.choice(&self.live).copied();
        let live = live.filter(|_| self.random.u8(0..4) > 0);
        live.or_else(|| self.random.choice(&self.ids).copied())
            .unwrap()
    }

    pub(super) fn device(&mut self) -> Option<Device> {
        let device = *self.random.choice(&["", "phone", "web"]).unwrap();
        Device::parse(device).ok()
    }

    /// A session and a token that leads to it, or would if it were its.
    pub(super) fn token(&mut self) -> (SessionId, CredentialHash) {
        let last = self.tokens.iter().rev().take(6).copied();
        let known = self.random.choice(last.collect::<Vec<_>>());
        let known = known.filter(|_| self.random.u8(0..6) > 0);
        known.unwrap_or_else(|| (self.id(), self.new_hash()))
    }

    pub(super) fn new_hash(&mut self) -> CredentialHash {
        CredentialHash::of(&self.random.u64(..).to_be_bytes())
    }

    pub(super) fn target(&mut self, facts: &Facts, operation_id: bool) -> (Target, TargetFacts) {
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
                self.maybe_operation_id(WRITE, session_id)
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

    pub(super) fn limit(&mut self) -> Option<SessionLimit> {
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

    pub(super) fn new_session(&mut self) -> NewSession {
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
            registration: self.random.bool().then(|| self.registration()),
            state: SessionState::Active,
            idle_timeout: self.time(12),
            max_age: self.time(40),
            limit: self.limit(),
            limit_scope: self.access().scope,
            attributes: [self.attribute()].into_iter().collect(),
            device: self.device(),
            device_id: None,
            connection_id: None,
            client_ip: None,
            client_port: Some(7),
            user_agent: None,
            server_addr: None,
            operation_id: self.maybe_operation_id(CREATE, session_id),
        }
    }

    /// One more session, with a token that no other has; the greater the number, the newer.
    pub(super) fn one_more(&mut self, number: u16) -> NewSession {
        let [high, low] = number.to_be_bytes();
        let random = [high, low, 0, 0, 0, 0, 0, 0, 0, 0];
        let session_id = SessionId::new(self.now(), &self.login_id, random);
        self.ids.push(session_id);
        NewSession {
            session_id,
            token: StoredToken {
                hash: self.new_hash(),
                origin: TokenOrigin::Gateway,
            },
            limit: None,
            operation_id: None,
            ..self.new_session()
        }
    }

    /// A limit that may or may not hold over some hundred sessions.
    pub(super) fn crowded_limit(&mut self) -> SessionLimit {
        let usual = self.random.u8(0..3) > 0;
        let limit = self.limit().filter(|_| !usual);
        SessionLimit {
            max: *self.random.choice(&[1, 180, 195, 200]).unwrap(),
            ..limit.unwrap_or(SessionLimit {
                max: 1,
                per: LimitPer::Login,
                overflow: Overflow::EvictOldest,
            })
        }
    }

    pub(super) fn attribute(&mut self) -> (AttributeName, AttributeValue) {
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

    pub(super) fn session_change(&mut self) -> SessionChange {
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

    pub(super) fn update(&mut self) -> SessionUpdate {
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
}

pub(super) fn stats() -> ConnectionStats {
    ConnectionStats {
        packets_sent: 1,
        packets_received: 2,
        bytes_sent: 3,
        bytes_received: 4,
        retransmissions: 5,
        rtt_ms: 6,
    }
}
