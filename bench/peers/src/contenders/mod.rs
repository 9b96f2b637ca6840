//! What is measured: who there is, how each is started and asked.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::load::{Answer, Requests, Site};
use crate::process::Process;
use crate::redis_server::Redis;
use crate::settings::Settings;

mod check;
pub(crate) mod gateway;
mod peers;

/// Names of the contenders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Bare,
    Cached,
    Uncached,
    CachedCredentials,
    UncachedCredentials,
    CachedVerify,
    UncachedVerify,
    Embedded,
    RedisGet,
    Webdis,
    TowerSessions,
    SaToken,
    Express,
    ExpressCluster,
}

impl Who {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum handler",
            Self::Cached => "gateway, cached",
            Self::Uncached => "gateway, uncached",
            Self::CachedCredentials => "gateway, cached, proxy with credentials",
            Self::UncachedCredentials => "gateway, uncached, proxy with credentials",
            Self::CachedVerify => "gateway, cached, POST /v1/tokens/verify",
            Self::UncachedVerify => "gateway, uncached, POST /v1/tokens/verify",
            Self::Embedded => "gateway, embedded store",
            Self::RedisGet => "redis-benchmark GET",
            Self::Webdis => "webdis GET",
            Self::TowerSessions => "axum, tower-sessions",
            Self::SaToken => "axum, sa-token-rust",
            Self::Express => "express-session, one process",
            Self::ExpressCluster => "express-session, a process a core",
        }
    }
}

/// Whether each request is one or more commands to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookUp {
    EachTime,
    FromMemory,
}

/// A server and the requests that ask it for each of the sessions.
#[derive(Debug, Clone)]
pub(crate) struct HttpContender {
    pub(crate) server: Rc<Process>,
    pub(crate) redis: Option<Rc<Redis>>,
    pub(crate) requests: Rc<Requests>,
    /// Asks for a session that does not exist.
    pub(crate) unknown: String,
    pub(crate) good: Answer,
    pub(crate) bad: Answer,
    pub(crate) look_up: LookUp,
}

impl HttpContender {
    pub(crate) fn site(&self) -> Site<'_> {
        Site {
            address: self.server.address,
            requests: &self.requests,
            good: self.good,
        }
    }
}

/// What can be measured.
#[derive(Debug)]
pub(crate) enum Contender {
    Http(HttpContender),
    /// GET of values of this size by redis-benchmark.
    RedisGet {
        redis: Redis,
        keys: usize,
        bytes: usize,
    },
}

/// Starts and checks all contenders.
pub(crate) fn start(settings: Settings) -> BTreeMap<Who, Contender> {
    let mut all: BTreeMap<Who, Contender> = BTreeMap::new();
    let mut add = |who: Who, contender: HttpContender| {
        eprintln!("checking: {}", who.name());
        check::check(&contender);
        all.insert(who, Contender::Http(contender));
    };
    let sessions = settings.sessions;
    let gateway = gateway::Fleet::start(sessions);
    let requests = Rc::clone(gateway.requests());
    add(Who::Bare, peers::bare(requests, &gateway.answer_headers()));
    let bytes = gateway.record_bytes();
    for (who, contender) in gateway.contenders() {
        add(who, contender);
    }
    add(Who::Webdis, peers::webdis(sessions, bytes));
    add(Who::TowerSessions, peers::tower_sessions(sessions));
    add(Who::SaToken, peers::sa_token(sessions));
    let [one, cluster] = peers::express(sessions);
    add(Who::Express, one);
    add(Who::ExpressCluster, cluster);
    all.insert(Who::RedisGet, peers::redis_get(sessions, bytes));
    all
}
