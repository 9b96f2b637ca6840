//! Scripts on masters that may not know them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::servers::RedisServer;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_while_they_are_flushed_again_and_again() {
    let server = RedisServer::start().await;
    let connections = open_patiently(&server.url()).await;
    let done = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (connections, done, stop) =
                (connections.clone(), Arc::clone(&done), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    add(&connections, Slot::Shard(1), Effect::Once)
                        .await
                        .unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..40 {
        server.ask::<()>("SCRIPT FLUSH").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    let counted = get(&connections, Slot::Shard(1), "count").await.unwrap();
    assert_eq!(counted, text(&done.load(Ordering::Relaxed).to_string()));
}
