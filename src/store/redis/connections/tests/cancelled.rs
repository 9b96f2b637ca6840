//! Requests that are dropped on their way.

use super::servers::RedisServer;
use super::*;

const KEYS: usize = 2_000;
const WORKERS: usize = 64;
const REQUESTS: usize = 200_000;

#[tokio::test(flavor = "multi_thread")]
async fn dropped_requests_never_deliver_the_answer_of_another() {
    let server = RedisServer::start().await;
    let connections = open(&server.url()).await;
    for number in 0..KEYS {
        let name = number.to_string();
        set(&connections, Slot::Of("k"), &name, &name)
            .await
            .unwrap();
    }
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| tokio::spawn(drop_most(connections.clone(), worker)))
        .collect();
    let mut answered = 0;
    for worker in workers {
        answered += worker.await.unwrap();
    }
    assert!(
        (1..REQUESTS).contains(&answered),
        "{answered} of {REQUESTS}"
    );
}

/// Gives each request between nothing and a few hundred microseconds.
async fn drop_most(connections: Connections, worker: usize) -> usize {
    let mut answered = 0;
    for round in 0..REQUESTS / WORKERS {
        let name = ((worker * 31 + round * 17) % KEYS).to_string();
        let patience = Duration::from_micros(((round * 7_919 + worker) % 1_500) as u64);
        let request = get(&connections, Slot::Of("k"), &name);
        tokio::select! {
            biased;
            answer = request => {
                if let Ok(answer) = answer {
                    assert_eq!(answer, text(&name));
                    answered += 1;
                }
            }
            () = spin(patience) => {}
        }
    }
    answered
}

/// A timer that is finer than a millisecond.
async fn spin(patience: Duration) {
    let start = Instant::now();
    while start.elapsed() < patience {
        tokio::task::yield_now().await;
    }
}
