//! What the feed costs in Redis.

use deadpool_redis::redis::{Connection, cmd, pipe};

use super::super::backend::{Backend, START};

/// In one shard, as a busy day may leave them.
const EVENTS: usize = 50_000;
const WRITES: usize = 100;
const ROUNDS: usize = 5;

/// Microseconds that the server needs for a write, in the best of some rounds.
async fn cost_of_a_write(b: &Backend, redis: &mut Connection) -> f64 {
    let session_id = b.open("alice").await.session_id;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        cmd("CONFIG").arg("RESETSTAT").exec(redis).unwrap();
        for number in 0..WRITES {
            b.put(session_id, "a", &number.to_string()).await;
        }
        let stats: String = cmd("INFO").arg("commandstats").query(redis).unwrap();
        let scripts = stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_evalsha:"));
        let mut fields = scripts.unwrap().split(',');
        let cost = fields.find_map(|field| field.strip_prefix("usec_per_call="));
        best = best.min(cost.unwrap().parse().unwrap());
    }
    best
}

fn tell(redis: &mut Connection, stream: &str) {
    let moment = START.millis();
    for first in (0..EVENTS).step_by(1_000) {
        let mut events = pipe();
        for number in first..first + 1_000 {
            let id = format!("{moment}-{}", 10_000 + number);
            let event = events.cmd("XADD").arg(stream).arg(id);
            event.arg(&["t", "w", "s", "some session"]).ignore();
        }
        events.exec(redis).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_costs_no_more_when_the_feed_is_long() {
    let b = Backend::redis().await;
    let mut redis = b.redis_connection();
    let short = cost_of_a_write(&b, &mut redis).await;
    let shard = b.open("alice").await.session_id.as_bytes()[15];
    tell(&mut redis, &format!("sgw:{{{shard:02x}}}:e"));
    let long = cost_of_a_write(&b, &mut redis).await;
    assert!(long < 10.0 * short, "{short} and {long} microseconds");
}
