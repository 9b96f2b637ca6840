//! Failovers under Sentinel while requests come in.

use std::time::{Duration, Instant};

use super::traffic::{Act, Load, Log, Outcome, Traffic};
use super::{RECOVERY, SETTLED, causes, gateway_on, seldom, tell};
use crate::support::Gateway;
use crate::support::redis::{RedisSentinels, eventually};

const LOAD: Load = Load {
    users: 16,
    per_second: 200,
};

/// How long the Sentinels of the harness miss a master before they replace it.
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// A gateway in use, and which of the servers is the master; the other has all that was written so far.
pub(super) async fn start() -> (RedisSentinels, Gateway, Traffic, usize) {
    let sentinels = RedisSentinels::start("watch").await;
    let hosts = sentinels.hosts();
    let url = format!("redis+sentinel://{hosts}/main/1?sentinel_password=watch");
    let gateway = gateway_on(&url).await;
    let traffic = Traffic::start(&gateway, LOAD).await;
    sentinels.wait_until_ready().await;
    let master = sentinels.master().await.unwrap();
    let copied: i64 = sentinels.servers[master].ask("WAIT 1 1000").await;
    assert_eq!(copied, 1);
    (sentinels, gateway, traffic, master)
}

/// Returns when the server at an index is the master and everything goes on there.
pub(super) async fn taken_over_by(index: usize, sentinels: &RedisSentinels, traffic: &Traffic) {
    eventually(SETTLED, || async {
        sentinels.servers[index].info("role").await == "master"
    })
    .await;
    traffic.well().await;
}

/// A master that is gone takes along what its replica had not yet; the log of such a failover may miss sessions that
/// were opened at the last moment, and nothing else.
#[track_caller]
fn assert_only_the_newest_may_be_lost(log: &mut Log) {
    log.samples.retain(|sample| {
        let lost = matches!(&sample.outcome, Outcome::Wrong(text) if text.starts_with("404"));
        !(sample.act == Act::Delete && lost)
    });
    log.assert_never_wrong();
}

#[track_caller]
fn assert_ends(kind: &str, log: &Log, from: Instant) {
    let unwell = log.unwell_after(from);
    tell(format_args!(
        "{kind}: {} of {} answers are 503, the last after {unwell:?}; masters are missed for {DOWN_AFTER:?}",
        log.unknown().count(),
        log.samples.len(),
    ));
    assert!(unwell < DOWN_AFTER + RECOVERY, "{unwell:?}");
}

/// When everything was well again, and how long the log was then.
struct Settled {
    at: Instant,
    logged: usize,
}

impl Settled {
    fn now(gateway: &Gateway) -> Self {
        Self {
            at: Instant::now(),
            logged: gateway.stderr().len(),
        }
    }
}

/// Returns when the old master has been a replica for some requests.
async fn old_master_is_back(sentinels: &RedisSentinels, traffic: &Traffic) {
    sentinels.wait_until_ready().await;
    traffic.more(300).await;
}

/// From a moment on requests fail only if the machine is slow, and none meets a replica.
#[track_caller]
fn assert_well_since(settled: &Settled, log: &Log, gateway: &Gateway) {
    let later = log.within(settled.at, Instant::now());
    let failed = later
        .clone()
        .filter(|sample| sample.outcome != Outcome::Done);
    let (failed, all) = (failed.count(), later.count());
    assert!(
        seldom(failed, all),
        "{failed} of {all}: {:?}",
        causes(gateway)
    );
    let stderr = gateway.stderr().to_lowercase();
    assert!(!stderr[settled.logged..].contains("readonly"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_command_is_followed() {
    let (sentinels, gateway, traffic, master) = start().await;
    let warnings = gateway.nobody().get("/readyz").await.value(200)["warnings"].clone();
    assert_eq!(warnings[0]["code"], "failovers_can_undo", "{warnings}");
    let told = Instant::now();
    sentinels.fail_over().await;
    taken_over_by(1 - master, &sentinels, &traffic).await;
    let settled = Settled::now(&gateway);
    old_master_is_back(&sentinels, &traffic).await;
    let mut log = traffic.end().await;
    assert_only_the_newest_may_be_lost(&mut log);
    assert_ends("failover by command", &log, told);
    assert_well_since(&settled, &log, &gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_is_replaced_and_comes_back_as_a_replica() {
    let (mut sentinels, gateway, traffic, master) = start().await;
    let killed = Instant::now();
    sentinels.servers[master].kill();
    taken_over_by(1 - master, &sentinels, &traffic).await;
    sentinels.servers[master].run().await;
    let old = &sentinels.servers[master];
    let follows = || async { old.info("role").await == "slave" };
    eventually(SETTLED, follows).await;
    let settled = Settled::now(&gateway);
    old_master_is_back(&sentinels, &traffic).await;
    let mut log = traffic.end().await;
    assert_only_the_newest_may_be_lost(&mut log);
    assert_ends("failover by kill", &log, killed);
    assert_well_since(&settled, &log, &gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_master_is_replaced_and_is_not_believed_when_it_wakes() {
    let (sentinels, gateway, traffic, master) = start().await;
    let frozen = Instant::now();
    sentinels.servers[master].freeze();
    taken_over_by(1 - master, &sentinels, &traffic).await;
    let settled = Settled::now(&gateway);
    sentinels.servers[master].thaw();
    old_master_is_back(&sentinels, &traffic).await;
    let mut log = traffic.end().await;
    assert_only_the_newest_may_be_lost(&mut log);
    assert_ends("failover by freeze", &log, frozen);
    assert_well_since(&settled, &log, &gateway);
}
