//! Redis stops without a word while requests come in.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::traffic::{Load, Outcome, Traffic, p99};
use super::{RECOVERY, SETTLED, gateway_on, long, open, tell};
use crate::support::redis::{RedisServer, eventually};

/// What the gateway may take more of memory than before; what it takes at most is bounded by what it has under way.
const GROWTH_KIB: u64 = 96 * 1024;

/// From then on nobody waits for Redis any more.
const BREAKER_OPEN_AFTER: Duration = Duration::from_millis(500);

fn load() -> Load {
    Load {
        users: 64,
        per_second: if long() { 2_000 } else { 600 },
    }
}

async fn freeze_for(outage: Duration) {
    let redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    let traffic = Traffic::start(&gateway, load()).await;
    let before = gateway.resident_kib();
    let frozen = Instant::now();
    redis.freeze();
    sleep(outage).await;
    let during = gateway.resident_kib();
    let thawed = Instant::now();
    redis.thaw();
    traffic.well().await;
    let log = traffic.end().await;

    log.assert_never_wrong();
    let meanwhile = log.within(frozen, thawed);
    assert!(meanwhile.clone().count() > 64);
    for sample in meanwhile.clone() {
        assert_eq!(sample.outcome, Outcome::Unknown, "{sample:?}");
    }
    let unwell = log.unwell_after(thawed);
    assert!(unwell < RECOVERY, "{unwell:?}");
    assert!(during < before + GROWTH_KIB, "{before} to {during} KiB");

    let open = log.within(frozen + BREAKER_OPEN_AFTER, thawed);
    let seconds = outage.as_secs_f64();
    tell(format_args!(
        "frozen for {outage:?}: {} answers, {:.0}/s, p99 {:?}, with the breaker open {:?}, well again after {:?}, \
         {before} KiB before and {during} KiB at the end",
        meanwhile.clone().count(),
        f64::from(u32::try_from(meanwhile.clone().count()).unwrap()) / seconds,
        p99(meanwhile),
        p99(open),
        log.unwell_after(thawed),
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_frozen_every_request_is_unknown_in_time_and_afterwards_all_is_well() {
    freeze_for(Duration::from_secs(1)).await;
    if long() {
        freeze_for(Duration::from_secs(60)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_on_a_frozen_redis_is_refused_to_the_last_request() {
    let redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    let admin = gateway.admin();
    let session = open(&admin, json!({"login_id": "u"})).await;
    redis.freeze();
    let mut burst = JoinSet::new();
    for _ in 0..1_000 {
        burst.spawn(admin.get(session.path()).into_future());
    }
    for answer in burst.join_all().await {
        assert_eq!(answer.status, 503);
        let code = answer.json()["code"].clone();
        assert!(["store_unavailable", "overloaded"].contains(&code.as_str().unwrap()));
    }
    redis.thaw();
    let answered = || async { admin.get(session.path()).await.status == 200 };
    eventually(SETTLED, answered).await;
}
