//! Figures, not tests: run them with `--ignored --nocapture measure`.

use deadpool_redis::redis::{Commands, Connection, cmd};
use session_gateway::model::session::UserAgent;
use session_gateway::store::NewSession;

use super::super::backend::{Backend, attribute, draft, value};

const SESSIONS: usize = 100_000;
const AT_A_TIME: usize = 500;

fn used(redis: &mut Connection) -> usize {
    let info: String = cmd("INFO").arg("memory").query(redis).unwrap();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().parse().unwrap()
}

fn plain(number: usize) -> NewSession {
    NewSession {
        attributes: [
            (attribute("role"), value("\"admin\"")),
            (attribute("name"), value("\"Alice Example\"")),
            (attribute("locale"), value("\"en-GB\"")),
        ]
        .into_iter()
        .collect(),
        ..draft(&format!("user{number}"))
    }
}

fn with_client(number: usize) -> NewSession {
    let text = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142";
    NewSession {
        client_ip: Some("203.0.113.7".parse().unwrap()),
        client_port: Some(54_321),
        user_agent: Some(UserAgent::parse(text).unwrap()),
        ..plain(number)
    }
}

async fn bytes_a_session(new: impl Fn(usize) -> NewSession) -> (usize, usize) {
    let b = Backend::redis();
    let mut redis = b.redis_connection();
    b.open("somebody").await;
    let before = used(&mut redis);
    for first in (0..SESSIONS).step_by(AT_A_TIME) {
        b.create_all((first..first + AT_A_TIME).map(&new)).await;
    }
    let with_events = used(&mut redis) - before;
    for shard in 0..=u8::MAX {
        redis
            .del::<_, ()>(format!("sgw:{{{shard:02x}}}:e"))
            .unwrap();
    }
    let without = used(&mut redis) - before;
    (without / SESSIONS, with_events / SESSIONS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure_memory_of_sessions_in_redis() {
    for (name, bytes) in [
        ("three attributes", bytes_a_session(plain).await),
        ("and a client", bytes_a_session(with_client).await),
    ] {
        let (without, with_events) = bytes;
        eprintln!("{name}: {without} bytes a session, {with_events} with its first event");
    }
}
