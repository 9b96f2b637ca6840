//! Channels, heard at every master.

use super::servers::{RedisCluster, RedisServer};
use super::*;
use crate::store::redis::connections::Signal;

async fn next(heard: &mut tokio::sync::mpsc::Receiver<Signal>) -> Signal {
    let signal = tokio::time::timeout(Duration::from_secs(5), heard.recv());
    signal.await.expect("a signal in time").expect("a listener")
}

fn payload(signal: &Signal) -> Option<&[u8]> {
    match signal {
        Signal::Message { payload, .. } => Some(payload),
        Signal::Listening { .. } | Signal::Lost { .. } => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_channel_is_told_and_found_again() {
    let server = RedisServer::start().await;
    let connections = open(&server.url()).await;
    let mut heard = connections.subscribe("sgw:feed");
    assert!(matches!(next(&mut heard).await, Signal::Listening { .. }));
    server.ask::<i64>("PUBLISH sgw:feed one").await;
    assert_eq!(payload(&next(&mut heard).await), Some(&b"one"[..]));
    server.ask::<i64>("CLIENT KILL TYPE pubsub").await;
    assert!(matches!(next(&mut heard).await, Signal::Lost { .. }));
    assert!(matches!(next(&mut heard).await, Signal::Listening { .. }));
    server.ask::<i64>("PUBLISH sgw:feed two").await;
    assert_eq!(payload(&next(&mut heard).await), Some(&b"two"[..]));
    server.freeze();
    assert!(matches!(next(&mut heard).await, Signal::Lost { .. }));
    server.thaw();
    assert!(matches!(next(&mut heard).await, Signal::Listening { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_master_of_a_cluster_is_heard() {
    let cluster = RedisCluster::start().await;
    let connections = open(&format!("redis+cluster://{}", cluster.hosts())).await;
    let mut heard = connections.subscribe("sgw:feed");
    let mut masters = std::collections::HashSet::new();
    for _ in 0..3 {
        match next(&mut heard).await {
            Signal::Listening { master } => masters.insert(master),
            other @ (Signal::Message { .. } | Signal::Lost { .. }) => panic!("{other:?}"),
        };
    }
    assert_eq!(masters.len(), 3);
}
