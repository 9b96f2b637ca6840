//! The peers. Each gets a Redis of its own; sessions are opened by its own login.

use std::process::Command;
use std::rc::Rc;

use serde_json::json;

use super::{Contender, HttpContender, LookUp};
use crate::load::{Answer, Requests, Response, each};
use crate::process::{Process, free_address};
use crate::redis_server::Redis;
use crate::settings;

/// Answers like the gateway, to the same requests.
pub(super) fn bare(requests: Rc<Requests>, headers: &str) -> HttpContender {
    let address = free_address();
    let mut command = Command::new(settings::peer("bare"));
    command.arg(address.to_string());
    HttpContender {
        server: Rc::new(Process::start(command, address, headers)),
        redis: None,
        requests,
        unknown: "GET /elsewhere HTTP/1.1\r\nHost: bench\r\n\r\n".to_owned(),
        good: Answer::OK,
        bad: Answer::status(404),
        look_up: LookUp::FromMemory,
    }
}

pub(super) fn redis_get(keys: usize, bytes: usize) -> Contender {
    let redis = Redis::start();
    redis.fill(keys, bytes, |index| format!("key:{index:012}"));
    Contender::RedisGet { redis, keys, bytes }
}

/// A webdis with as many threads as there are cores. What is not there is `null`: it has no sessions to refuse.
pub(super) fn webdis(sessions: usize, bytes: usize) -> HttpContender {
    let redis = Redis::start();
    redis.fill(sessions, bytes, |index| format!("session:{index}"));
    let address = free_address();
    let config = json!({
        "redis_host": "127.0.0.1", "redis_port": redis.process.address.port(),
        "http_host": "127.0.0.1", "http_port": address.port(),
        "threads": settings::cores(),
        "daemonize": false, "database": 0, "verbosity": 2, "logfile": "/dev/null",
    });
    let file = settings::run_dir().join("webdis.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new("webdis");
    command.arg(file);
    let get = |key| format!("GET /GET/session:{key} HTTP/1.1\r\nHost: bench\r\n\r\n");
    HttpContender {
        server: Rc::new(Process::start(command, address, "")),
        redis: Some(Rc::new(redis)),
        requests: Rc::new((0..sessions).map(get).collect()),
        unknown: get(sessions),
        good: Answer {
            status: 200,
            body_starts: "{\"GET\":\"xxx",
        },
        bad: Answer {
            status: 200,
            body_starts: "{\"GET\":null}",
        },
        look_up: LookUp::EachTime,
    }
}

pub(super) fn tower_sessions(sessions: usize) -> HttpContender {
    let (redis, address) = (Redis::start(), free_address());
    let mut command = Command::new(settings::peer("tower_sessions"));
    command.args([address.to_string(), redis.url()]);
    logged_in(
        Process::start(command, address, ""),
        redis,
        sessions,
        cookie,
        "Cookie",
    )
}

pub(super) fn sa_token(sessions: usize) -> HttpContender {
    let (redis, address) = (Redis::start(), free_address());
    let mut command = Command::new(settings::peer("sa_token"));
    command.args([address.to_string(), redis.url()]);
    let token = |response: &Response<'_>| response.text().to_owned();
    logged_in(
        Process::start(command, address, ""),
        redis,
        sessions,
        token,
        "sa-token",
    )
}

/// One process, and a cluster of a process a core, on the same sessions.
pub(super) fn express(sessions: usize) -> [HttpContender; 2] {
    let redis = Redis::start();
    let start = |workers: usize| {
        let address = free_address();
        let mut command = Command::new("node");
        command.env("NODE_ENV", "production");
        command.arg(settings::peer("express").join("server.js"));
        command.args([address.port().to_string(), redis.url(), workers.to_string()]);
        Process::start(command, address, "")
    };
    let one = Rc::new(start(1));
    let cluster = start(settings::cores());
    let cluster = logged_in(cluster, redis, sessions, cookie, "Cookie");
    let one = HttpContender {
        server: one,
        ..cluster.clone()
    };
    [one, cluster]
}

fn cookie(response: &Response<'_>) -> String {
    let cookie = response.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Logs users in at `/login`, and then shows at `/check` what that gave, in this header.
fn logged_in(
    server: Process,
    redis: Redis,
    sessions: usize,
    credential: impl Fn(&Response<'_>) -> String,
    header: &str,
) -> HttpContender {
    let log_in = |user| {
        format!("POST /login?user-{user} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n")
    };
    let mut credentials = Vec::with_capacity(sessions);
    let log_ins: Requests = (0..sessions).map(log_in).collect();
    each(server.address, &log_ins, |response| {
        Answer::OK.check(response);
        credentials.push(credential(response));
    });
    let check = |credential: &String| {
        format!("GET /check HTTP/1.1\r\nHost: bench\r\n{header}: {credential}\r\n\r\n")
    };
    HttpContender {
        server: Rc::new(server),
        redis: Some(Rc::new(redis)),
        requests: Rc::new(credentials.iter().map(check).collect()),
        unknown: check(&altered(&credentials[0])),
        good: Answer::OK,
        bad: Answer::status(401),
        look_up: LookUp::EachTime,
    }
}

/// A credential of the same form that nobody has.
pub(super) fn altered(credential: &str) -> String {
    let place = credential.len() - 10;
    let other = if credential[place..].starts_with('a') {
        "b"
    } else {
        "a"
    };
    let mut altered = credential.to_owned();
    altered.replace_range(place..=place, other);
    altered
}
