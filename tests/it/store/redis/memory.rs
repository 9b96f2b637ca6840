//! What a session takes of the memory of Redis, all indexes included.

use deadpool_redis::redis::{Commands, Connection, cmd};
use session_gateway::model::session::UserAgent;
use session_gateway::rules::create::NewSession;

use super::super::backend::{Backend, attribute, draft, value};

/// Enough that the tables of keys, which grow by doubling, are shared by many.
const SESSIONS: usize = 20_000;
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

async fn bytes_a_session(new: impl Fn(usize) -> NewSession) -> usize {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    b.open("somebody").await;
    let before = used(&mut redis);
    for first in (0..SESSIONS).step_by(AT_A_TIME) {
        b.create_all((first..first + AT_A_TIME).map(&new)).await;
    }
    for shard in 0..=u8::MAX {
        let events = format!("sgw:{{{shard:02x}}}:e");
        redis.del::<_, ()>(events).unwrap();
    }
    (used(&mut redis) - before) / SESSIONS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_takes_no_more_of_redis_than_it_was_built_for() {
    let (plain, with_client) = (
        bytes_a_session(plain).await,
        bytes_a_session(with_client).await,
    );
    assert!(plain <= 830, "{plain} bytes with three attributes");
    assert!(with_client <= 1_030, "{with_client} bytes with a client");
}
