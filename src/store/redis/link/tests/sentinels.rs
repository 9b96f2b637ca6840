//! Failover under Sentinel.

use super::servers::RedisSentinels;
use super::*;

const SHARD: Slot = Slot::Shard(3);

/// From the failure until errors must have ended.
const FAILOVER: Duration = RedisSentinels::DOWN_AFTER.saturating_add(Duration::from_secs(2));

async fn open_all(sentinels: &RedisSentinels) -> Link {
    let url = format!(
        "redis+sentinel://{}/main/1?sentinel_password=watch",
        sentinels.hosts()
    );
    open(&url).await
}

/// Writes all the time until writes succeed for a while; tells how long after the start the last one failed.
async fn last_error(link: &Link) -> Duration {
    let start = Instant::now();
    let mut last = Duration::ZERO;
    while start.elapsed() < FAILOVER + Duration::from_secs(2) {
        if set(link, SHARD, "any", "1").await.is_err() {
            last = start.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_is_followed_when_it_is_told_to_take_over_and_when_one_dies() {
    let mut sentinels = RedisSentinels::start("watch").await;
    let link = open_all(&sentinels).await;
    set(&link, SHARD, "any", "1").await.unwrap();
    let before = link.topology().borrow().clone();

    sentinels.fail_over().await;
    let last = last_error(&link).await;
    assert!(last <= FAILOVER, "errors for {last:?} after the command");
    assert_ne!(*link.topology().borrow(), before);

    sentinels.wait_until_ready().await;
    let master = sentinels.master().await;
    sentinels.servers[master].kill();
    let last = last_error(&link).await;
    assert!(last <= FAILOVER, "errors for {last:?} after the kill");

    sentinels.servers[master].run().await;
    sentinels.wait_until_ready().await;
    let master = sentinels.master().await;
    sentinels.servers[master].freeze();
    let last = last_error(&link).await;
    assert!(last <= FAILOVER, "errors for {last:?} after the freeze");
    sentinels.servers[master].thaw();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..200 {
        set(&link, SHARD, "any", "1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_without_replicas_to_wait_for_is_warned_of() {
    let sentinels = RedisSentinels::start("watch").await;
    let link = open_all(&sentinels).await;
    let warnings = link.health().masters[0].warnings.clone();
    assert_eq!(warnings, [crate::store::redis::Warning::NoReplicasNeeded]);
}

#[tokio::test]
async fn sentinels_with_another_password_or_name_know_no_master() {
    let sentinels = RedisSentinels::start("watch").await;
    for rest in [
        "main?sentinel_password=wrong",
        "other?sentinel_password=watch",
    ] {
        let url = format!("redis+sentinel://{}/{rest}", sentinels.hosts());
        let opened = Link::open(&settings(&url)).await;
        assert!(matches!(opened, Err(OpenError::NoMaster)), "{opened:?}");
    }
}
