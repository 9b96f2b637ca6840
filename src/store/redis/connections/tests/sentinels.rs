//! Failover under Sentinel.

use super::servers::{RedisSentinels, eventually};
use super::*;

const SHARD: Slot = Slot::Shard(3);

/// Within which writes succeed after there is another master. Generous: the machine may be busy.
const FOLLOWED: Duration = Duration::from_secs(10);

fn url(sentinels: &RedisSentinels) -> String {
    let hosts = sentinels.hosts();
    format!("redis+sentinel://{hosts}/main/1?sentinel_password=watch")
}

async fn open_all(sentinels: &RedisSentinels) -> Connections {
    open(&url(sentinels)).await
}

/// Returns when the server at `index` is the master and is written to.
async fn followed_to(index: usize, sentinels: &RedisSentinels, connections: &Connections) {
    eventually(Duration::from_secs(20), || async {
        sentinels.servers[index]
            .info("role")
            .await
            .starts_with("master")
    })
    .await;
    let mut before = connections.topology();
    let there = sentinels.servers[index].port;
    let moved = before.wait_for(|now| now.masters[0].address.port == there);
    tokio::time::timeout(FOLLOWED, moved)
        .await
        .expect("the new master in time")
        .unwrap();
    eventually(FOLLOWED, || async {
        set(connections, SHARD, "any", "1").await.is_ok()
    })
    .await;
    let patient = open_patiently(&url(sentinels)).await;
    for _ in 0..200 {
        set(&patient, SHARD, "any", "1").await.unwrap();
        let own = set(connections, SHARD, "any", "1").await;
        assert!(matches!(own, Ok(_) | Err(StoreError::TimedOut)), "{own:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_is_followed_after_a_command_and_after_a_freeze() {
    let sentinels = RedisSentinels::start("watch").await;
    let connections = open_all(&sentinels).await;
    sentinels.fail_over().await;
    followed_to(1, &sentinels, &connections).await;
    sentinels.wait_until_ready().await;

    sentinels.servers[1].freeze();
    followed_to(0, &sentinels, &connections).await;
    sentinels.servers[1].thaw();
    tokio::time::sleep(Duration::from_secs(1)).await;
    followed_to(0, &sentinels, &connections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_is_followed_after_a_kill() {
    let mut sentinels = RedisSentinels::start("watch").await;
    let connections = open_all(&sentinels).await;
    sentinels.servers[0].kill();
    followed_to(1, &sentinels, &connections).await;
    sentinels.servers[0].run().await;
    followed_to(1, &sentinels, &connections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_needs_no_replicas_is_warned_of() {
    let sentinels = RedisSentinels::start("watch").await;
    let connections = open_all(&sentinels).await;
    let warnings = connections.health().masters[0].warnings.clone();
    assert_eq!(warnings, [super::super::Warning::NoReplicasNeeded]);
    let open = async |rest: &str| {
        let url = format!("redis+sentinel://{}/{rest}", sentinels.hosts());
        Connections::open(&settings(&url)).await.unwrap_err()
    };
    let wrong = open("main?sentinel_password=wrong").await;
    assert!(matches!(wrong, OpenError::Silent { .. }), "{wrong:?}");
    let other = open("other?sentinel_password=watch").await;
    assert!(matches!(other, OpenError::NoMaster), "{other:?}");
}
