//! More is asked of a server than it can do.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::servers::RedisServer;
use super::*;

/// How long the server is asked for more than it can do.
const TIME: Duration = Duration::from_secs(4);
/// What is let in at first is answered well within it, also by a server that has a tenth of a processor.
const DEADLINE: Duration = Duration::from_secs(4);
/// More than twice as many as it answers in that time, however fast the machine is.
const ASKERS: usize = 10_000;

const SHARD: Slot = Slot::Shard(0x7f);

/// Keeps a server busy for a millisecond.
const BUSY: &str = "
local start = redis.call('TIME')
repeat
  local now = redis.call('TIME')
until (now[1] - start[1]) * 1000000 + now[2] - start[2] >= 1000";

/// What came of it.
#[derive(Default)]
struct Told {
    done: usize,
    late: usize,
    shed: Vec<Duration>,
}

async fn ask_until(connections: Connections, busy: Arc<Script>, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    let keys = [b"sgw:{7f}:i".to_vec()];
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = connections.script(SHARD, &busy, &keys, &[], Effect::Once);
        match answer.await {
            Ok(_) => told.done += 1,
            Err(StoreError::Overloaded) => {
                told.shed.push(asked.elapsed());
                sleep(Duration::from_millis(500)).await;
            }
            Err(_) => told.late += 1,
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_is_answered_and_what_would_be_late_is_shed_at_once() {
    let server = RedisServer::start().await;
    let mut settings = settings(&server.url());
    settings.deadlines = Deadlines::of(DEADLINE);
    let connections = Connections::open(&settings).await.unwrap();
    let busy = Arc::new(Script::new("", &[BUSY]));
    let stop = Arc::new(AtomicBool::new(false));
    let mut askers = JoinSet::new();
    for _ in 0..ASKERS {
        let (connections, busy) = (connections.clone(), Arc::clone(&busy));
        askers.spawn(ask_until(connections, busy, Arc::clone(&stop)));
    }
    let (start, mut urgent) = (Instant::now(), 0);
    while start.elapsed() < TIME {
        get(&connections, SHARD, "any").await.unwrap();
        urgent += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let told = askers.join_all().await;
    let done: usize = told.iter().map(|told| told.done).sum();
    let late: usize = told.iter().map(|told| told.late).sum();
    let mut shed: Vec<Duration> = told.into_iter().flat_map(|told| told.shed).collect();
    shed.sort();
    let figures = format!(
        "{urgent} urgent, {done} done, {late} late, {} shed",
        shed.len()
    );
    assert!(urgent > 0 && done > 0 && shed.len() > ASKERS, "{figures}");
    // Some were let in before it was known how slow the server is.
    assert!(late <= done, "{figures}");
    // Half of the deadline is what anything waits for its turn.
    let median = shed[shed.len() / 2];
    assert!(median < DEADLINE / 2, "{figures}, after {median:?}");
    let stats = connections.stats();
    assert!(stats[0].shed >= shed.len() as u64, "{stats:?}");
}
