//! A cluster whose slots move, whose connections break and whose masters die while requests come in.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::traffic::{Load, Log, Outcome, Sample, Traffic};
use super::{RECOVERY, SETTLED, causes, gateway_on, seldom, tell};
use crate::support::redis::{RedisCluster, RedisServer, eventually};
use crate::support::{Gateway, Opened};

/// How long the servers of the harness miss a master before they replace it.
const NODE_TIMEOUT: Duration = Duration::from_secs(1);

const LOAD: Load = Load {
    users: 48,
    per_second: 300,
};

/// How long a request goes on trying in a slot that is on its way.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// Between two times that all servers forget all scripts.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

async fn start() -> (RedisCluster, Gateway, Traffic) {
    let cluster = RedisCluster::start().await;
    let gateway = gateway_on(&format!("redis+cluster://{}", cluster.hosts())).await;
    let traffic = Traffic::start(&gateway, LOAD).await;
    (cluster, gateway, traffic)
}

/// Nothing was given up before its time was over. What failed all the same failed because this machine is slow.
#[track_caller]
fn assert_all_done(log: &Log, gateway: &Gateway) {
    log.assert_never_wrong();
    let (unknown, all) = (log.unknown().count(), log.samples.len());
    tell(format_args!("{unknown} of {all} answers are 503"));
    let stderr = gateway.stderr();
    let unserved = stderr.lines().filter(|line| line.contains("duration_ms"));
    let refused = unserved.filter(|line| line.contains(" refused: "));
    let given_up = refused.filter(|line| duration_of(line) < LAST_ATTEMPT);
    assert_eq!(given_up.collect::<Vec<_>>(), [""; 0]);
    assert!(seldom(unknown, all), "{unknown}: {:?}", causes(gateway));
}

/// How long a request took, as the log tells.
fn duration_of(line: &str) -> Duration {
    let (_, rest) = line.split_once("duration_ms=").unwrap();
    let (millis, _) = rest.split_once(' ').unwrap();
    Duration::from_millis(millis.parse().unwrap())
}

async fn flush_scripts(servers: &[RedisServer]) {
    for server in servers {
        server.ask::<()>("SCRIPT FLUSH").await;
    }
    sleep(FLUSH_EVERY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_and_scripts_are_forgotten_without_a_failed_request() {
    let (cluster, gateway, traffic) = start().await;
    let mut reshard = cluster.reshard(0, 1, 4_000);
    while reshard.try_wait().unwrap().is_none() {
        flush_scripts(&cluster.servers).await;
    }
    assert!(reshard.wait().unwrap().success());
    traffic.more(100).await;
    let log = traffic.end().await;
    assert_all_done(&log, &gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_forgets_its_scripts_without_a_failed_request() {
    let redis = RedisServer::start().await;
    let gateway = gateway_on(&redis.url()).await;
    let traffic = Traffic::start(&gateway, LOAD).await;
    let servers = [redis];
    for _ in 0..40 {
        flush_scripts(&servers).await;
    }
    let log = traffic.end().await;
    assert_all_done(&log, &gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_all_break_at_once_are_made_anew() {
    let (cluster, _gateway, traffic) = start().await;
    let mut broken = Instant::now();
    for _ in 0..5 {
        broken = Instant::now();
        for server in &cluster.servers {
            server.ask::<i64>("CLIENT KILL TYPE normal").await;
        }
        traffic.well().await;
    }
    let log = traffic.end().await;
    log.assert_never_wrong();
    let unwell = log.unwell_after(broken);
    tell(format_args!(
        "all connections killed: well again after {unwell:?}"
    ));
    assert!(unwell < RECOVERY, "{unwell:?}");
}

/// The server that keys with this hash tag are on.
async fn home_of_tag(cluster: &RedisCluster, tag: &str) -> usize {
    let question = format!("CLUSTER KEYSLOT {{{tag}}}");
    for server in &cluster.servers {
        if let Ok(slot) = server.try_ask(&question).await {
            return cluster.master_of(slot).await;
        }
    }
    panic!("no server lives");
}

/// The last byte of a session's id is the hash tag of its keys.
async fn home_of(cluster: &RedisCluster, session: &Opened) -> usize {
    home_of_tag(cluster, &session.id[session.id.len() - 2..]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_a_master_concerns_its_own_sessions_only() {
    let (mut cluster, gateway, traffic) = start().await;
    // Every request looks for its service.
    let needed = home_of_tag(&cluster, "services").await;
    let lost = (needed + 1) % 3;
    let mut concerned = HashSet::new();
    for (user, session) in traffic.sessions.iter().enumerate() {
        if home_of(&cluster, session).await == lost {
            concerned.insert(user);
        }
    }
    let example = *concerned.iter().next().expect("somebody is concerned");
    let example = traffic.sessions[example].clone();
    let copied: i64 = cluster.servers[lost].ask("WAIT 1 5000").await;
    assert_eq!(copied, 1);

    let killed = Instant::now();
    cluster.servers[lost].kill();
    let replaced = || async { home_of(&cluster, &example).await != lost };
    eventually(SETTLED, replaced).await;
    traffic.well().await;
    let log = traffic.end().await;
    log.assert_never_wrong();
    let unwell = log.unwell_after(killed);
    tell(format_args!(
        "a master of three killed: well again after {unwell:?}; nodes are missed for 1 s"
    ));
    assert!(unwell < NODE_TIMEOUT + RECOVERY, "{unwell:?}");
    assert_goes_on(&log, &concerned);

    let successor = home_of(&cluster, &example).await;
    cluster.servers[successor].kill();
    let port = cluster.servers[successor].port.to_string();
    eventually(SETTLED, || async {
        let readiness = gateway.nobody().get("/readyz").await;
        let told = readiness.json()["warnings"].to_string();
        readiness.status == 200 && told.contains("partly_unavailable") && told.contains(&port)
    })
    .await;
    let gone = gateway.admin().get(example.path()).await;
    gone.problem(503, "store_unavailable");
}

/// Those on the dead master learn nothing for a while; for the others requests fail only if the machine is slow.
#[track_caller]
fn assert_goes_on(log: &Log, concerned: &HashSet<usize>) {
    let is_unknown = |sample: &&Sample| sample.outcome == Outcome::Unknown;
    let (own, others): (Vec<_>, Vec<_>) = log
        .samples
        .iter()
        .partition(|sample| concerned.contains(&sample.user));
    assert!(own.iter().any(is_unknown));
    let failed = others.iter().filter(|sample| is_unknown(sample)).count();
    let all = others.len();
    assert!(
        failed * 2 <= all && seldom(failed, all),
        "{failed} of {all}"
    );
}
