//! Random operations on several gateways while gateways, connections and Redis are killed: what is left is in order.
//!
//! `SGW_TEST_OPERATIONS` sets how many there are on one server; a cluster gets a quarter of them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;

use super::fleet::Fleet;
use super::stored::Stored;
use super::worker::{Told, Worker};
use crate::support::redis::{FaultProxy, Mode};
use crate::support::{persistently, size};

/// Clients that call at the same time.
const WORKERS: u64 = 24;

/// Runs all operations and, as long as they last, `breaks` again and again.
async fn live_through(
    mut stored: Stored,
    operations: usize,
    mut breaks: impl AsyncFnMut(&mut Stored, &mut Rng),
) {
    let mut fleet = Fleet::start(stored.launch(), 3).await;
    let left = Arc::new(AtomicUsize::new(operations));
    let mut workers = JoinSet::new();
    for seed in 0..WORKERS {
        let worker = Worker::new(seed, fleet.clients());
        workers.spawn(worker.run(Arc::clone(&left)));
    }
    let told = tokio::spawn(workers.join_all());
    let mut rng = Rng::with_seed(42);
    let mut broken = 0;
    while !told.is_finished() {
        tokio::time::sleep(Duration::from_millis(rng.u64(200..900))).await;
        if rng.bool() {
            fleet.kill_and_restart(rng.usize(..fleet.len())).await;
        } else {
            breaks(&mut stored, &mut rng).await;
        }
        broken += 1;
    }
    stored.well().await;
    let told = told
        .await
        .unwrap_or_else(|error| panic!("{error}: {:#?}", fleet.errors()));
    assert_in_order(&stored, fleet, &told, operations, broken).await;
}

async fn assert_in_order(
    stored: &Stored,
    fleet: Fleet,
    told: &[Told],
    operations: usize,
    broken: usize,
) {
    let sum = |part: fn(&Told) -> usize| -> usize { told.iter().map(part).sum() };
    let (answered, good) = (sum(|told| told.answered), sum(|told| told.good));
    eprintln!("{operations} operations: {answered} answers, {good} done; broken {broken} times");
    assert!(good > operations / 5, "{good} of {operations} were done");
    assert!(broken >= 3, "nothing was broken");
    let client = fleet.clients().get(0);
    for id in told.iter().flat_map(|told| &told.ended) {
        let answer = persistently(|| client.get(format!("/v1/sessions/{id}"))).await;
        let status = answer.status.as_u16();
        assert!([404, 410].contains(&status), "{status}: {}", answer.text());
    }
    drop(fleet);
    stored.audit();
}

fn operations() -> usize {
    size("SGW_TEST_OPERATIONS", 8_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_all_that_is_stored_is_in_order_and_has_its_time() {
    let stored = Stored::on_one_server().await;
    let proxy = FaultProxy::before(stored.servers[0].port).await;
    let stored = stored.behind(&proxy);
    live_through(stored, operations(), async |stored, rng| {
        match rng.u8(0..3) {
            0 => proxy.cut_all(),
            1 => {
                proxy.set(Mode::HalfOpen);
                tokio::time::sleep(Duration::from_millis(150)).await;
                proxy.set(Mode::Pass);
            }
            _ => {
                stored.servers[0].kill();
                stored.servers[0].run().await;
                stored.well().await;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_too() {
    let stored = Stored::on_a_cluster().await;
    live_through(stored, operations() / 4, async |stored, rng| {
        let server = rng.choice(&stored.servers).unwrap();
        if rng.bool() {
            server.ask::<u64>("CLIENT KILL TYPE normal").await;
        } else {
            // Only a replica can take over; a master says no.
            server.try_ask::<String>("CLUSTER FAILOVER").await.ok();
        }
    })
    .await;
}
