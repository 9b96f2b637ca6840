//! The rules alone, without a store: whatever happens in whatever order, what must hold of sessions holds.
//!
//! `SGW_TEST_HISTORIES` sets how many random histories that is; 3,000 if it is not set. The rate is told.

use std::time::{Duration, Instant};

use session_gateway::model::Timestamp;
use session_gateway::model::attribute::{AttributeName, AttributeValue};
use session_gateway::model::id::{LoginId, ServiceId, SessionId};
use session_gateway::model::permission::{Opener, Scope};
use session_gateway::model::request::{Access, OperationId, Precondition, Target};
use session_gateway::model::session::{Device, EndDetail};
use session_gateway::model::token::CredentialHash;
use session_gateway::rules::create::NewSession;

use crate::support::size;

mod crowd;
mod ends;
mod opening;
mod world;
mod writes;

use world::World;

/// Milliseconds between two steps.
const WAITS: [i64; 9] = [1, 1, 20, 300, 1_500, 20_000, 300_000, 1_900_000, 4_000_000];
/// Steps of a history at most.
const STEPS: usize = 16;

#[test]
fn whatever_happens_what_must_hold_of_sessions_holds() {
    let histories = size("SGW_TEST_HISTORIES", 3_000);
    let words = Words::new();
    let started = Instant::now();
    for seed in 0..histories {
        let mut history = History::new(&words, seed as u64);
        for _ in 0..history.random.usize(1..=STEPS) {
            history.step();
        }
        history.world.audit();
    }
    let rate = histories as u128 * 1_000_000 / started.elapsed().as_micros().max(1);
    eprintln!("{histories} histories, {rate} a second");
}

/// Parsed once: histories make many sessions.
struct Words {
    logins: [LoginId; 2],
    services: [ServiceId; 2],
    devices: [Option<Device>; 2],
    name: AttributeName,
    values: [AttributeValue; 2],
    detail: EndDetail,
}

impl Words {
    fn new() -> Self {
        Self {
            logins: ["alice", "bob"].map(|login| LoginId::parse(login).unwrap()),
            services: ["web", "chat"].map(|service| ServiceId::parse(service).unwrap()),
            devices: [None, Some(Device::parse("ios").unwrap())],
            name: AttributeName::parse("a").unwrap(),
            values: ["7", "\"text\""].map(|json| AttributeValue::parse(json.as_bytes()).unwrap()),
            detail: EndDetail::parse("because").unwrap(),
        }
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct History<'w> {
    words: &'w Words,
    seed: u64,
    random: fastrand::Rng,
    world: World,
    /// What was asked for, to be asked for again.
    asked: Vec<NewSession>,
    /// Tokens that sessions have or had.
    tokens: Vec<(SessionId, CredentialHash)>,
}

impl Drop for History<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in history {}", self.seed);
        }
    }
}

impl<'w> History<'w> {
    fn new(words: &'w Words, seed: u64) -> Self {
        Self {
            words,
            seed,
            random: fastrand::Rng::with_seed(seed),
            world: World::at(1_700_000_000_000),
            asked: Vec::new(),
            tokens: Vec::new(),
        }
    }

    fn step(&mut self) {
        self.world.now += self.random.choice(WAITS).unwrap();
        match self.random.u8(0..32) {
            0..8 => self.create(),
            8 => self.create_again(),
            9..13 => self.verify(),
            13..19 => self.write(),
            19 => self.end(None),
            20 => self.revoke(),
            21..26 => self.rotate(),
            26 => self.end_batch(),
            27 => self.ban(),
            28 => self.unban(),
            29 => self.write_uses(),
            _ => self.sweep(),
        }
    }

    fn hash(&mut self) -> CredentialHash {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&self.random.u64(..).to_be_bytes());
        CredentialHash::from_digest(digest)
    }

    fn login(&mut self) -> LoginId {
        self.random.choice(&self.words.logins).unwrap().clone()
    }

    /// One of two services, which mostly sees everything.
    fn access(&mut self) -> Access {
        let service_id = self.random.choice(&self.words.services).unwrap().clone();
        let scope = match self.random.u8(0..8) {
            0 => Scope::OpenedBy(Opener {
                service_id: service_id.clone(),
                registered_at: self.registration(),
            }),
            _ => Scope::All,
        };
        Access { service_id, scope }
    }

    /// One of two, of which either may have opened what is there.
    fn registration(&mut self) -> Timestamp {
        Timestamp::from_millis(self.random.i64(0..2))
    }

    /// A session that is or was, with a token that it has or had.
    fn known(&mut self) -> Option<(SessionId, CredentialHash)> {
        let tokens = &self.tokens;
        let recent = tokens.len().saturating_sub(4);
        let any = self.random.choice(tokens)?;
        let newer = self.random.choice(&tokens[recent..])?;
        Some(*if self.random.bool() { any } else { newer })
    }

    fn target(&mut self) -> Option<Target> {
        let (session_id, _) = self.known()?;
        let live = self.world.live(session_id);
        let version = live.map_or(1, |record| record.session.version);
        let precondition = match self.random.u8(0..6) {
            0 => Precondition::Versions(vec![version]),
            1 => Precondition::Versions(vec![1, 3]),
            _ => Precondition::None,
        };
        let operation_id = self
            .random
            .bool()
            .then(|| OperationId(*self.hash().as_bytes()));
        Some(Target {
            session_id,
            access: self.access(),
            precondition,
            operation_id,
        })
    }
}
