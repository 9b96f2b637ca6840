//! A login of many sessions: what is asked of it looks at no more than 200 records in one step, and does not keep Redis
//! from others.

use deadpool_redis::redis::{Connection, cmd};
use session_gateway::model::id::SessionId;
use session_gateway::model::limit::{LimitPer, Overflow, SessionLimit};
use session_gateway::rules::create::NewSession;
use session_gateway::rules::refusal::Refusal;
use sha2::{Digest, Sha256};

use super::super::backend::{Backend, IDLE, MINUTE, draft, limit, login_id};
use super::super::services::register;
use super::node::settled;

/// The most microseconds that one step may take.
const BOUND: u64 = 5_000;
/// Each is measured so often, and the quickest counts: the machine may have been busy.
const TRIES: usize = 10;

/// Makes copies of a session, with its indexes. Their ids follow its own.
const COPY: &str = r"
local tag, login, id, count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local fields = redis.call('HGETALL', tag .. 's:' .. id)
local own
for at = 1, #fields, 2 do
  if fields[at] == 'd' then own = at + 1 end
end
local ends = redis.call('ZSCORE', tag .. 'x', id)
for number = 1, count do
  local copy = string.sub(id, 1, 10) .. struct.pack('>I4', 1000000 + number) .. string.sub(id, 15)
  fields[own] = copy
  redis.call('HSET', tag .. 's:' .. copy, unpack(fields))
  redis.call('ZADD', login, 0, copy)
  redis.call('ZADD', tag .. 'i', 0, copy)
  redis.call('ZADD', tag .. 'x', ends, copy)
end";

struct Crowd {
    b: Backend,
    redis: Connection,
    oldest: SessionId,
}

/// What one call costs Redis.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// The longest script, in microseconds.
    longest: u64,
    /// Records that scripts looked at.
    loaded: u64,
    /// Records that were read by themselves.
    read: u64,
    /// Reads of a part of an index.
    ranges: u64,
}

impl Crowd {
    async fn of(sessions: usize) -> Self {
        let b = Backend::redis().await;
        let mut redis = b.redis_connection();
        let oldest = b.open("alice").await.session_id;
        let digest = Sha256::digest("alice");
        let tag = format!("sgw:{{{:02x}}}:", digest[0]);
        cmd("EVAL")
            .arg(COPY)
            .arg(0)
            .arg(&tag)
            .arg([tag.as_bytes(), b"l:", &digest[..16]].concat())
            .arg(oldest.as_bytes().as_slice())
            .arg(sessions - 1)
            .exec(&mut redis)
            .unwrap();
        let size = b.stores.sessions.index_size(&login_id("alice")).await;
        assert_eq!(size.unwrap(), sessions as u64);
        settled(&b.stores, b.keyspace().server()).await;
        Self { b, redis, oldest }
    }

    fn calls(&mut self, commands: &[&str]) -> u64 {
        let stats: String = cmd("INFO")
            .arg("commandstats")
            .query(&mut self.redis)
            .unwrap();
        let calls = stats
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
            .filter(|(name, _)| commands.contains(name))
            .map(|(_, rest)| rest.split(',').next().unwrap().parse::<u64>().unwrap());
        calls.sum()
    }

    fn watch(&mut self) {
        cmd("CONFIG")
            .arg("RESETSTAT")
            .exec(&mut self.redis)
            .unwrap();
        let mut all = cmd("CONFIG");
        all.arg("SET").arg("slowlog-log-slower-than").arg(0);
        all.exec(&mut self.redis).unwrap();
        cmd("SLOWLOG").arg("RESET").exec(&mut self.redis).unwrap();
    }

    fn cost(&mut self) -> Cost {
        type Entry = (u64, u64, u64, Vec<Vec<u8>>, String, String);
        let entries: Vec<Entry> = cmd("SLOWLOG")
            .arg("GET")
            .arg(-1)
            .query(&mut self.redis)
            .unwrap();
        let scripts = entries.iter().filter(|(_, _, _, command, ..)| {
            command
                .first()
                .is_some_and(|word| word.to_ascii_lowercase().starts_with(b"eval"))
        });
        Cost {
            longest: scripts.map(|(_, _, micros, ..)| *micros).max().unwrap_or(0),
            loaded: self.calls(&["hmget"]),
            read: self.calls(&["hgetall"]),
            ranges: self.calls(&["zrange", "zrangebylex", "zrevrangebylex"]),
        }
    }
}

fn limited(max: usize, per: LimitPer, overflow: Overflow) -> NewSession {
    NewSession {
        limit: Some(SessionLimit { max, per, overflow }),
        ..draft("alice")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_over_25_000_sessions_looks_at_no_more_than_200() {
    let mut crowd = Crowd::of(25_000).await;
    for (per, overflow) in [
        (LimitPer::Login, Overflow::EvictOldest),
        (LimitPer::Login, Overflow::EvictLeastActive),
        (LimitPer::Login, Overflow::Refuse),
        (LimitPer::Device, Overflow::EvictOldest),
    ] {
        let mut quickest = u64::MAX;
        for _ in 0..TRIES {
            crowd.watch();
            let refused = crowd.b.refused(limited(200, per, overflow)).await;
            assert_eq!(refused, Refusal::LoginTooLarge);
            let cost = crowd.cost();
            // One more is the ban of the login.
            assert!(
                cost.loaded <= 201 && cost.read <= 1 && cost.ranges <= 2,
                "{cost:?}"
            );
            quickest = quickest.min(cost.longest);
        }
        assert!(quickest <= BOUND, "{per:?} {overflow:?} took {quickest} µs");
    }
    crowd.b.live(crowd.oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_as_may_give_way_do_so_in_one_step_that_looks_at_no_more() {
    const EVICTED: u64 = 200;
    let mut quickest = u64::MAX;
    for _ in 0..TRIES / 2 {
        let mut crowd = Crowd::of(399).await;
        crowd.watch();
        let new = limited(200, LimitPer::Login, Overflow::EvictOldest);
        assert_eq!(crowd.b.create(new).await.evicted.len(), 200);
        let cost = crowd.cost();
        assert!(cost.loaded <= 201 && cost.ranges <= 2, "{cost:?}");
        // Of each that gives way a tombstone with its time and an event that is also published; all else is done at once.
        let each = crowd.calls(&["hset", "pexpire", "xadd", "publish"]);
        let at_once = crowd.calls(&["zrem", "del"]);
        assert!(each <= 4 * EVICTED + 20 && at_once <= 4, "{each} {at_once}");
        quickest = quickest.min(cost.longest);
    }
    // On a quiet machine it stays within the bound itself.
    assert!(quickest <= 2 * BOUND, "it took {quickest} µs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_total_of_25_000_sessions_looks_at_those_alone_that_may_be_over() {
    let mut crowd = Crowd::of(25_000).await;
    let sessions = crowd.b.stores.sessions.clone();
    let alice = login_id("alice");
    crowd.watch();
    assert_eq!(sessions.count(Some(&alice)).await.unwrap(), 25_000);
    let cost = crowd.cost();
    assert_eq!((cost.loaded, cost.read), (0, 0), "{cost:?}");
    assert!(cost.longest <= BOUND, "{cost:?}");
    crowd.b.advance(IDLE - MINUTE);
    crowd.b.open("alice").await;
    let other = crowd.b.open("bob").await;
    crowd.b.advance(MINUTE);
    // All but one are over, and end before they are counted.
    assert_eq!(sessions.count(Some(&alice)).await.unwrap(), 1);
    crowd.b.live(other.session_id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_of_25_000_sessions_reads_the_newest_1000() {
    let mut crowd = Crowd::of(25_000).await;
    crowd.watch();
    let summary = crowd
        .b
        .stores
        .sessions
        .login(&login_id("alice"))
        .await
        .unwrap();
    let cost = crowd.cost();
    assert_eq!((summary.session_count, summary.partial), (25_000, true));
    assert!(
        cost.read <= 1_001 && cost.loaded <= 1 && cost.ranges == 1,
        "{cost:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_600_services_are_read_in_steps() {
    let mut crowd = Crowd::of(1).await;
    let ids: Vec<_> = (0..600)
        .map(|number| format!("service-{number:03}"))
        .collect();
    for id in &ids {
        register(&crowd.b, id).await;
    }
    crowd.watch();
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = crowd
            .b
            .stores
            .services
            .list_services(limit(400), cursor.as_ref());
        let page = page.await.unwrap();
        listed.extend(
            page.items
                .iter()
                .map(|service| service.service_id.to_string()),
        );
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
    assert_eq!(crowd.calls(&["hkeys", "hgetall", "hvals"]), 0);
    // Two pages, each in three steps and perhaps some more.
    assert!((6..=20).contains(&crowd.calls(&["hscan"])));
}
