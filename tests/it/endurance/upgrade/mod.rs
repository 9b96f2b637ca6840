//! Gateways are upgraded while clients call them: those of the commit in `tests/upgrade/since` run alone, beside those
//! of this build, and are gone, and nobody notices but by the process id.
//!
//! `SGW_TEST_UPGRADE_SECONDS` sets how long the load lasts on each topology.

mod live;
mod since;
mod story;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::stored::Stored;
use crate::metrics::Told;
use crate::support::redis::eventually;
use crate::support::{Gateway, Launch, size};
use live::Live;
use story::Story;
use worker::Worker;

/// Gateways of each version.
const EACH: usize = 2;
const WORKERS: usize = 6;
/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// A third of the load.
fn phase() -> Duration {
    Duration::from_millis(size("SGW_TEST_UPGRADE_SECONDS", 30) as u64 * 1_000 / 3)
}

/// Whether no other tests keep the machine busy, so that hardly a deadline of the store is missed.
fn is_alone() -> bool {
    size("SGW_TEST_UPGRADE_SECONDS", 0) > 0
}

/// Gateways and the clients that call them.
struct Load {
    live: Live,
    over: Arc<AtomicBool>,
    workers: JoinSet<Worker>,
}

impl Load {
    async fn begin(gateways: &[Gateway]) -> Self {
        let live = Live::default();
        live.are(gateways).await;
        let mut load = Self {
            live,
            over: Arc::default(),
            workers: JoinSet::new(),
        };
        for name in 0..WORKERS {
            load.spawn(Worker::new(name, load.live.clone()));
        }
        load
    }

    fn spawn(&mut self, mut worker: Worker) {
        let over = Arc::clone(&self.over);
        self.workers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                worker.step().await;
            }
            worker
        });
    }

    /// Lets all finish what they are at.
    async fn end(self) -> Vec<Worker> {
        self.over.store(true, Ordering::Relaxed);
        self.workers.join_all().await
    }
}

async fn start(launch: &Launch) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..EACH {
        gateways.push(launch.clone().start().await);
    }
    gateways
}

/// How many sessions they have opened, by their counters. They are called no more.
async fn stop(gateways: Vec<Gateway>) -> u64 {
    let mut opened = 0;
    for mut gateway in gateways {
        opened += counted(&gateway).await;
        gateway.signal(Signal::SIGTERM);
        let status = gateway.ended().await;
        assert_eq!(status.code(), Some(0), "{}", gateway.stderr());
    }
    opened
}

async fn counted(gateway: &Gateway) -> u64 {
    let told = Told::by(&gateway.admin()).await;
    told.sum("session_created_total", &[])
}

async fn upgrade(stored: Stored) {
    let launch = stored.launch().set("SGW_ROTATE_GRACE", "10m");
    let old = start(&launch.clone().program(since::program())).await;
    let load = Load::begin(&old).await;
    sleep(phase()).await;

    let new = start(&launch).await;
    let story = Story::follow(&old[0], &new[0]).await;
    load.live.are(old.iter().chain(&new)).await;
    sleep(phase()).await;
    story.assert_one().await;
    load.live.are(&new).await;
    let opened_by_old = stop(old).await;

    sleep(phase()).await;
    let live = load.live.clone();
    let workers = load.end().await;
    let opened: u64 = workers.iter().map(Worker::opened).sum();
    let again = live.sent_again();
    let sent = live.sent();
    eprintln!("{sent} requests, {again} sent again; {opened} sessions opened");
    assert!(opened > 50 && sent > 500, "next to nothing was done");
    assert!(again <= sent / 100 || !is_alone(), "{again} of {sent}");
    for worker in workers {
        worker.look_at_all().await;
    }
    // The counters of what had an unknown outcome are not exact.
    if again == 0 {
        eventually(DEADLINE, || async {
            let mut counted_by_new = 0;
            for gateway in &new {
                counted_by_new += counted(gateway).await;
            }
            opened_by_old + counted_by_new == opened
        })
        .await;
    }
    stop(new).await;
    stored.audit();
    stored.assert_mortal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_fails_no_request_and_loses_nothing() {
    upgrade(Stored::on_one_server().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_neither() {
    upgrade(Stored::on_a_cluster().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_opens_in_the_new_version_with_everything_in_it() {
    let launch = Launch::new().set("SGW_ROTATE_GRACE", "10m");
    let old = [launch.clone().program(since::program()).start().await];
    let mut load = Load::begin(&old).await;
    sleep(phase() / 3).await;
    let live = load.live.clone();
    let workers = load.end().await;
    let told = story::of(&old[0]).await;
    stop(old.into()).await;

    let new = [launch.start().await];
    live.are(&new).await;
    let kept = story::of(&new[0]).await;
    assert_eq!(kept[..told.len()], told, "events were lost");
    load = Load {
        live,
        over: Arc::default(),
        workers: JoinSet::new(),
    };
    for worker in workers {
        worker.look_at_all().await;
        load.spawn(worker);
    }
    sleep(phase() / 3).await;
    for worker in load.end().await {
        worker.look_at_all().await;
    }
    stop(new.into()).await;
}
