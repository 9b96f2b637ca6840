//! A replica that takes over without having heard of the last endings.

use session_gateway::model::session::EndReason;
use session_gateway::rules::create::NewSession;
use session_gateway::store::{Partitions, Stores};

use super::super::backend::{draft, login_id, target};
use super::super::listeners::heard_now;
use super::node::{DEADLINE, ended, is_live, open};
use crate::support::redis::{RedisCluster, RedisSentinels, RedisServer, eventually};

/// The replica hears nothing of its master any more, and cannot come back to it.
async fn cut_off(replica: &RedisServer, master: &RedisServer) {
    for setting in ["masteruser nobody", "masterauth nothing"] {
        replica.ask::<()>(&format!("CONFIG SET {setting}")).await;
    }
    master.ask::<i64>("CLIENT KILL TYPE replica").await;
    eventually(DEADLINE, || async {
        replica.info("master_link_status").await == "down"
            && master.info("connected_slaves").await == "0"
    })
    .await;
}

/// Writes a session that the replica has too.
async fn open_replicated(stores: &Stores, master: &RedisServer, login: &str) -> NewSession {
    let new = draft(login);
    stores.sessions.create(new.clone()).await.unwrap();
    eventually(DEADLINE, || async {
        let behind = master.info("slave0").await;
        behind.contains(&format!(
            "offset={}",
            master.info("master_repl_offset").await
        ))
    })
    .await;
    new
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_revives_nothing() {
    let mut all = RedisSentinels::start("watch").await;
    let url = format!(
        "redis+sentinel://{}/main?sentinel_password=watch",
        all.hosts()
    );
    let (one, two) = (open(&url).await, open(&url).await);
    let master = all.master().await.unwrap();
    let gone = open_replicated(&one, &all.servers[master], "alice").await;
    let kept = open_replicated(&one, &all.servers[master], "alice").await;
    cut_off(&all.servers[1 - master], &all.servers[master]).await;
    let done = one
        .sessions
        .end(target(gone.session_id), EndReason::KickedOut);
    done.await.unwrap();
    let before = ended(&one, gone.session_id).await.unwrap();
    // Whoever ended it is not there any more: the other node has heard of it.
    heard_now(&two, Partitions::Shards.of_login(&gone.login_id)).await;
    drop(one);
    all.servers[master].kill();
    let three = open(&url);
    eventually(DEADLINE, || async {
        ended(&two, gone.session_id).await.as_ref() == Some(&before)
    })
    .await;
    let three = three.await;
    assert_eq!(ended(&three, gone.session_id).await, Some(before));
    assert!(is_live(&three, kept.session_id).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_of_a_cluster_revives_nothing() {
    let mut cluster = RedisCluster::start().await;
    let url = format!("redis+cluster://{}", cluster.hosts());
    let stores = open(&url).await;
    let slot = slot_of(&cluster, "alice").await;
    let master = cluster.master_of(slot).await;
    let replica = replica_of(&cluster, master).await;
    let gone = open_replicated(&stores, &cluster.servers[master], "alice").await;
    let kept = open_replicated(&stores, &cluster.servers[master], "alice").await;
    cut_off(&cluster.servers[replica], &cluster.servers[master]).await;
    let done = stores
        .sessions
        .end(target(gone.session_id), EndReason::Logout);
    done.await.unwrap();
    let before = ended(&stores, gone.session_id).await.unwrap();
    cluster.servers[master].kill();
    eventually(DEADLINE, || async {
        cluster.master_of(slot).await == replica
            && ended(&stores, gone.session_id).await.as_ref() == Some(&before)
    })
    .await;
    assert!(is_live(&stores, kept.session_id).await);
    heard_now(&stores, Partitions::Shards.of_login(&gone.login_id)).await;
}

async fn slot_of(cluster: &RedisCluster, login: &str) -> u16 {
    let shard = login_id(login).shard();
    let asked = format!("CLUSTER KEYSLOT {{{shard:02x}}}");
    cluster.servers[0].ask(&asked).await
}

async fn replica_of(cluster: &RedisCluster, master: usize) -> usize {
    let port = cluster.servers[master].port.to_string();
    for (index, server) in cluster.servers.iter().enumerate() {
        if server.info("master_port").await == port {
            return index;
        }
    }
    panic!("it has no replica");
}
