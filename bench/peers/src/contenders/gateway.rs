//! The gateway in all its configurations. Each is a set of variables and a template of requests.

use std::process::Command;
use std::rc::Rc;

use serde_json::Value;

use super::LookUp::{EachTime, FromMemory};
use super::peers::altered;
use super::{HttpContender, LookUp, Who};
use crate::load::{Answer, Requests, Response, call, each};
use crate::process::{Process, free_address};
use crate::redis_server::Redis;
use crate::settings;

use Template::{Nginx, NginxCredentials, Verify};

/// Of the built-in service.
const SECRET: &str = "benchmark-secret-of-more-than-32-bytes";

/// Headers of an answer that the server itself sets, so that a handler need not.
const OF_THE_SERVER: [&str; 2] = ["content-length", "date"];

/// How many sessions are opened in one go.
const PART: usize = 50_000;

const TRUSTED: (&str, &str) = ("SGW_TRUSTED_PROXIES", "127.0.0.1");
const UNCACHED: (&str, &str) = ("SGW_CACHE_MAX_STALENESS", "0s");
/// Room for copies of all sessions.
const ROOM: (&str, &str) = ("SGW_CACHE_MAX_BYTES", "256MiB");

/// How a token is asked about.
#[derive(Debug, Clone, Copy)]
enum Template {
    /// By a proxy that is known by its address.
    Nginx,
    /// By a proxy with credentials.
    NginxCredentials,
    /// By a service.
    Verify,
}

impl Template {
    fn request(self, secret: &str, token: &str) -> String {
        let service = format!("X-Service-Id: proxy\r\nX-Service-Secret: {secret}\r\n");
        match self {
            Nginx => format!(
                "GET /auth/nginx HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n"
            ),
            NginxCredentials => format!(
                "GET /auth/nginx HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n{service}\r\n"
            ),
            Verify => post(
                "/v1/tokens/verify",
                &service,
                &format!(r#"{{"token":"{token}"}}"#),
            ),
        }
    }

    fn good(self) -> Answer {
        match self {
            Nginx | NginxCredentials => Answer::OK,
            Verify => Answer {
                status: 200,
                body_starts: r#"{"active":true"#,
            },
        }
    }

    fn bad(self) -> Answer {
        match self {
            Nginx | NginxCredentials => Answer::status(401),
            Verify => Answer {
                status: 200,
                body_starts: r#"{"active":false"#,
            },
        }
    }
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn post_as_admin(path: &str, body: &str) -> String {
    let service = format!("X-Service-Id: admin\r\nX-Service-Secret: {SECRET}\r\n");
    post(path, &service, body)
}

/// Starts a gateway over this store, with nothing else in its environment.
fn start(store: &str, variables: &[(&str, &str)]) -> Rc<Process> {
    let address = free_address();
    let mut command = Command::new(settings::gateway());
    command.env_clear();
    command.env("SGW_LISTEN", address.to_string());
    command.env("SGW_STORE", store);
    command.env("SGW_ADMIN_SECRET", SECRET);
    command.env("SGW_SERVICE_MAX_OPENS_PER_SECOND", "0");
    command.envs(variables.iter().copied());
    command.current_dir(settings::run_dir());
    Rc::new(Process::start(command, address, ""))
}

/// Opens sessions for these users; gives their tokens.
fn open_sessions(gateway: &Process, users: std::ops::Range<usize>) -> Vec<String> {
    let mut tokens = Vec::with_capacity(users.len());
    for start in users.clone().step_by(PART) {
        let open = |user| {
            let body = format!(
                r#"{{"login_id":"user-{user}","attributes":{{"role":"admin","locale":"en-GB","plan":"pro"}}}}"#
            );
            post_as_admin("/v1/sessions", &body)
        };
        let requests: Requests = (start..users.end.min(start + PART)).map(open).collect();
        each(gateway.address, &requests, |response| {
            Answer::status(201).check(response);
            tokens.push(field(response, "token"));
        });
    }
    tokens
}

fn field(response: &Response<'_>, name: &str) -> String {
    let body: Value = serde_json::from_slice(response.body).unwrap();
    body[name].as_str().unwrap().to_owned()
}

/// Registers the service that the proxy is; gives its secret.
fn register(gateway: &Process) -> String {
    let body = r#"{"service_id":"proxy","service_name":"Proxy","permissions":["token.verify"]}"#;
    call(
        gateway.address,
        &post_as_admin("/v1/services", body),
        |response| {
            Answer::status(201).check(response);
            field(response, "secret")
        },
    )
}

/// A store with sessions in it.
#[derive(Debug)]
struct Filled {
    redis: Option<Rc<Redis>>,
    secret: String,
    tokens: Vec<String>,
}

impl Filled {
    fn by(gateway: &Process, redis: Option<Rc<Redis>>, sessions: usize) -> Self {
        Self {
            redis,
            secret: register(gateway),
            tokens: open_sessions(gateway, 0..sessions),
        }
    }

    fn contender(
        &self,
        server: &Rc<Process>,
        template: Template,
        look_up: LookUp,
    ) -> HttpContender {
        let request = |token: &String| template.request(&self.secret, token);
        HttpContender {
            server: Rc::clone(server),
            redis: self.redis.clone(),
            requests: Rc::new(self.tokens.iter().map(request).collect()),
            unknown: template.request(&self.secret, &altered(&self.tokens[0])),
            good: template.good(),
            bad: template.bad(),
            look_up,
        }
    }
}

/// Gateways with and without cache on one Redis, and one on the embedded store.
#[derive(Debug)]
pub(super) struct Fleet {
    redis: Rc<Redis>,
    contenders: Vec<(Who, HttpContender)>,
}

impl Fleet {
    pub(super) fn start(sessions: usize) -> Self {
        let redis = Rc::new(Redis::start());
        let mut contenders = over_redis(&redis, sessions);
        contenders.push((Who::Embedded, over_embedded(sessions)));
        Self { redis, contenders }
    }

    pub(super) fn requests(&self) -> &Rc<Requests> {
        &self.contenders[0].1.requests
    }

    pub(super) fn record_bytes(&self) -> usize {
        self.redis.record_bytes()
    }

    /// The headers of an answer to a proxy, one a line.
    pub(super) fn answer_headers(&self) -> String {
        let (_, cached) = &self.contenders[0];
        let request = str::from_utf8(cached.requests.get(0)).unwrap();
        call(cached.server.address, request, |response| {
            Answer::OK.check(response);
            let headers = response
                .headers()
                .filter(|(name, _)| !OF_THE_SERVER.contains(name))
                .map(|(name, value)| format!("{name}: {value}"));
            headers.collect::<Vec<_>>().join("\n")
        })
    }

    pub(super) fn contenders(self) -> Vec<(Who, HttpContender)> {
        self.contenders
    }
}

fn over_redis(redis: &Rc<Redis>, sessions: usize) -> Vec<(Who, HttpContender)> {
    let start = |variables| start(&redis.url(), variables);
    let cached = start(&[TRUSTED, ROOM]);
    let uncached = start(&[TRUSTED, UNCACHED]);
    let cached_untrusting = start(&[ROOM]);
    let uncached_untrusting = start(&[UNCACHED]);
    let filled = Filled::by(&uncached, Some(Rc::clone(redis)), sessions);
    [
        (Who::Cached, &cached, Nginx, FromMemory),
        (Who::Uncached, &uncached, Nginx, EachTime),
        (
            Who::CachedCredentials,
            &cached_untrusting,
            NginxCredentials,
            FromMemory,
        ),
        (
            Who::UncachedCredentials,
            &uncached_untrusting,
            NginxCredentials,
            EachTime,
        ),
        (Who::CachedVerify, &cached_untrusting, Verify, FromMemory),
        (Who::UncachedVerify, &uncached_untrusting, Verify, EachTime),
    ]
    .map(|(who, server, template, look_up)| (who, filled.contender(server, template, look_up)))
    .into()
}

fn over_embedded(sessions: usize) -> HttpContender {
    let dir = settings::run_dir().join("embedded");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    let server = start(&format!("embedded:{}", dir.display()), &[TRUSTED, ROOM]);
    Filled::by(&server, None, sessions).contender(&server, Nginx, FromMemory)
}

/// A gateway without cache on a Redis of its own, in which ever more sessions are opened.
#[derive(Debug)]
pub(crate) struct Growing {
    server: Rc<Process>,
    filled: Filled,
}

impl Growing {
    pub(crate) fn start() -> Self {
        let redis = Rc::new(Redis::start());
        let server = start(&redis.url(), &[TRUSTED, UNCACHED]);
        let filled = Filled::by(&server, Some(redis), 0);
        Self { server, filled }
    }

    /// Opens sessions until there are this many.
    pub(crate) fn grow(&mut self, sessions: usize) -> HttpContender {
        let more = open_sessions(&self.server, self.filled.tokens.len()..sessions);
        self.filled.tokens.extend(more);
        self.filled.contender(&self.server, Nginx, EachTime)
    }
}
